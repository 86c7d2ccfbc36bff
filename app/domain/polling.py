"""When a call is looked at again. Pure.

Most calls are short, so they are watched closely at first and less and less the longer they last: the wait is a
fraction of the time since anything was last heard of them. When the call must be over, it is watched closely again.
"""

from datetime import datetime, timedelta

FRACTION = 8
"""A call that has been quiet for eight minutes is looked at after another one, unless `longest` is less."""


def look_again_in(
    now: datetime, *, heard_at: datetime, latest_end: datetime, base: timedelta, longest: timedelta
) -> timedelta:
    """How long to wait before the next look, at least `base` and at most `longest` (or `base`, if that is more).

    `heard_at`: when the call was placed, or anything was heard of it since. `latest_end`: when it must be over; the
    wait ends there at the latest, or `base` from now.
    """
    quiet = now - max(heard_at, latest_end) if now >= latest_end else now - heard_at
    grown = max(base, min(quiet / FRACTION, longest))
    return grown if now >= latest_end else min(grown, max(base, latest_end - now))
