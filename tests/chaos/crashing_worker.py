"""`python -m tests.chaos.crashing_worker`: the call worker with short spans and, if told so, its own death."""

from tests.chaos.deaths import arm_from_environment
from tests.chaos.spans import shorten
from workers.call_worker import cli

if __name__ == "__main__":
    shorten()
    arm_from_environment()
    cli()
