"""What placing or following a call can run into, sorted by what we may conclude about the phone.

* ProviderError
  + NotPlaced               surely no call: nothing was sent, or Retell said no
    - ProviderUnreachable   nothing was sent (connection refused, DNS, no free connection)
    - Throttled             429: too many calls or requests just now
    - NumberRejected        the number itself is refused
    - ConfigurationRejected the account, agent, from-number or request is refused: no other contact would fare better
  + Ambiguous               time-out, 5xx, unreadable answer: the phone may be ringing
  + CallUnknown             Retell does not know this call id
  + ProviderUnavailable     a read or stop failed; nothing is known, nothing was changed
"""


class ProviderError(Exception):
    """Base; the text is the provider's own, without secrets."""

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        """Seconds that the provider asked us to wait, if it did."""


class NotPlaced(ProviderError):
    """Surely no call was placed."""


class ProviderUnreachable(NotPlaced):
    """No byte of the request left us."""


class Throttled(NotPlaced):
    """The provider is at a limit."""


class NumberRejected(NotPlaced):
    """This number cannot be called, or (`do_not_call`) its owner asked not to be."""

    def __init__(self, detail: str, *, do_not_call: bool = False) -> None:
        super().__init__(detail)
        self.do_not_call = do_not_call


class ConfigurationRejected(NotPlaced):
    """Nothing can be called like this until a person changes something."""


class Ambiguous(ProviderError):
    """A call may have been placed."""


class CallUnknown(ProviderError):
    """No such call under this key."""


class ProviderUnavailable(ProviderError):
    """The provider did not answer a question."""
