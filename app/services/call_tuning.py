"""The spans of time that a worker's handling of calls is made of, in one place and each with its reason."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class CallTuning:
    poll: timedelta
    """Between two looks at a young call."""
    longest_poll: timedelta
    """Between two looks at an old one."""
    details_grace: timedelta
    """After a call's end, how long its cost and analysis are waited for."""
    provider_retry: timedelta
    """First delay after the provider's own trouble."""
    intent_freshness: timedelta = timedelta(seconds=2)
    """A process that was frozen longer than this between storing its intent and sending does not send (queues.md
    §4.4)."""
    resend_window: timedelta = timedelta(minutes=50)
    """Retell promises one hour for an idempotency key; the rest is margin (retell.md §3.5)."""
    verify_patience: timedelta = timedelta(minutes=5)
    """How long the list of calls is asked when the request must not be sent again just now."""
    stop_margin: timedelta = timedelta(seconds=60)
    """Past ring and maximum duration by this much, a call is stopped at Retell."""
    stuck_after: timedelta = timedelta(minutes=15)
    """Past the same by this much, we stop believing that the record will ever end."""
    uncertain_for: timedelta = timedelta(minutes=30)
    """Past the same by this much, an attempt that nobody could account for is closed as unknown."""
