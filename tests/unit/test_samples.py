"""What samples of a worker's stacks are counted as."""

from benchmarks.sampled import Samples

MAIN = "main (/work/workers/call_worker.py:110);run (/usr/lib/python3.11/asyncio/runners.py:118)"
STEP = "follow (/work/app/services/call_following.py:20)"
SAMPLES = [
    f"{MAIN} 20",
    f"{MAIN};{STEP};get (/work/app/integrations/retell/client.py:9);send (/v/site-packages/aiohttp/client.py:7) 10",
    f"{MAIN};{STEP};save (/work/app/repositories/jobs.py:3);send (/v/pymongo/network.py:7);write (/usr/ssl.py:1) 30",
    f"{MAIN};{STEP};save (/work/app/repositories/jobs.py:3) 5",
    f"{MAIN};{STEP} 35",
]


def test_a_sample_counts_for_the_innermost_frame_that_is_of_a_kind() -> None:
    samples = Samples()
    samples.lines = SAMPLES

    assert samples.told().splitlines() == [
        "| Its CPU goes into | Share |",
        "| --- | ---: |",
        "| decisions and their order | 35% |",
        "| MongoDB, in pymongo and bson | 30% |",
        "| the event loop | 20% |",
        "| HTTP to Retell | 10% |",
        "| reading and writing documents | 5% |",
        "",
        "| Function, alone | Share |",
        "| --- | ---: |",
        "| follow (services/call_following.py) | 35% |",
        "| write (usr/ssl.py) | 30% |",
        "| run (asyncio/runners.py) | 20% |",
        "| send (aiohttp/client.py) | 10% |",
        "| save (repositories/jobs.py) | 5% |",
    ]


def test_without_samples_nothing_is_told() -> None:
    assert Samples().told() == ""
