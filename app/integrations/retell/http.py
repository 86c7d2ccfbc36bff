"""One request, one answer, over connections that are kept: the only module that knows aiohttp.

What a caller must know of a request that failed is whether any of it may have left us: `NeverSent` is raised if surely
nothing did, `Unanswered` otherwise. A POST is written once, to one connection. What aiohttp repeats by itself, once, is
what HTTP calls idempotent (here GET and DELETE), when a kept connection turns out to be dead.
"""

import json
import math
import select
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.request import getproxies, proxy_bypass

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
    NonHttpUrlClientError,
    RedirectClientError,
    TCPConnector,
)
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.tracing import Trace
from yarl import URL

CONNECT_SECONDS = 5.0
"""For a connection: waiting for a free one, looking the name up, TCP and TLS."""
KEPT_SECONDS = 4.0
"""An idle connection that is older is not used again. Node's servers close theirs after 5 s unless told otherwise, load
balancers after a minute or more: a create must not be written to a connection that is just being closed."""
LONGEST_HEADER = 64 * 1024
MOST_HEADERS = 1000
_TEXT_LENGTH = 300

# Raised before there is a connection to write to (`ClientSession._request`, `BaseConnector.connect`).
_NEVER_SENT = (ClientConnectorError, ConnectionTimeoutError, InvalidURL, NonHttpUrlClientError)
_FAILED = (ClientError, HttpProcessingError, OSError)  # TimeoutError is an OSError


class NeverSent(Exception):
    """No byte of the request left us."""


class Unanswered(Exception):
    """The request may have been received, whole, and there is no whole answer."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Raises ValueError."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def within(seconds: float) -> ClientTimeout:
    """`seconds` in all: whoever may ask for two thirds of its lease counts on a request taking no more than a third."""
    # Without the threshold aiohttp rounds a time-out up to the next whole second of the clock.
    return ClientTimeout(total=seconds, connect=min(CONNECT_SECONDS, seconds), ceil_threshold=math.inf)


class Http:
    """A pool of connections to one server, as one who bears `key`. Close it with `aclose`."""

    def __init__(self, base_url: str, key: str, *, max_connections: int) -> None:
        self._base = base_url.rstrip("/")
        self._key = key
        self._max_connections = max_connections
        self._session: ClientSession | None = None

    async def send(self, method: str, path: str, body: bytes | None, patience: ClientTimeout) -> Answer:
        """The answer, whatever its status; redirects are not followed. Raises NeverSent or Unanswered.

        `path` is quoted already, `body` JSON.
        """
        try:
            session, url = self._opened(), URL(self._base + path, encoded=True)
        except ValueError as error:
            # A proxy or an address that cannot be used: whatever is asked waits, and says why.
            raise NeverSent(self._words(error)) from None
        try:
            async with session.request(method, url, data=body, timeout=patience, allow_redirects=False) as response:
                return Answer(response.status, response.headers, await response.read())
        except _FAILED as error:
            sent = isinstance(error, RedirectClientError) or not isinstance(error, _NEVER_SENT)
            failure = (Unanswered if sent else NeverSent)(self._words(error))
        # Out here, without their errors as context: those carry the request's headers, and the key in them.
        raise failure

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> ClientSession:
        # Not in the constructor: it belongs to the event loop that runs.
        if self._session is None:
            self._session = ClientSession(
                connector=_Connections(limit=self._max_connections, keepalive_timeout=KEPT_SECONDS),
                headers={
                    "Authorization": f"Bearer {self._key}",
                    "Content-Type": "application/json",
                    "Accept-Encoding": "gzip, deflate",
                },
                cookie_jar=DummyCookieJar(),
                proxy=_proxy_to(URL(self._base)),
                max_line_size=LONGEST_HEADER,
                max_field_size=LONGEST_HEADER,
                max_headers=MOST_HEADERS,
            )
        return self._session

    def _words(self, error: Exception) -> str:
        text = f"{type(error).__name__}: {error}"
        return (text.replace(self._key, "***") if self._key else text)[:_TEXT_LENGTH]


class _Connections(TCPConnector):
    """Kept ones are used again only if nothing was heard on them since their last answer.

    aiohttp 3.14 would take what an idle connection brought (a server's 408 before it closes, an answer too many) for
    the answer to the next request; and a closed one for open until the event loop has come round.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            if _is_silent(connection):
                return connection
            connection.close()
        return None


def _is_silent(connection: Connection) -> bool:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or protocol.should_close:
        return False
    unread = select.poll()
    unread.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return not unread.poll(0)


def _proxy_to(url: URL) -> str | None:
    """What the environment names (HTTPS_PROXY, NO_PROXY …). Asked once: aiohttp would ask in a thread, each time."""
    if proxy_bypass(url.host or ""):
        return None
    known = getproxies()
    proxy = known.get(url.scheme) or known.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and not proxy.startswith(("http://", "https://")):
        raise ValueError(f"only http and https proxies can be used, not {URL(proxy).scheme}")
    return proxy or None
