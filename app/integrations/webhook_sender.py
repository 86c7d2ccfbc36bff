"""Requests to addresses that customers chose: one POST each, and none of them reaches a network that is not public.

A name is looked up here and the connection goes to the very address that was judged, so that a name which changes
between the look and the connection (DNS rebinding) gains nothing; certificate and Host are the name's. Redirects are
not followed, answers are not read beyond a few bytes, proxies of the environment are not used, and no connection is
kept: two names at one address must not share one.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx

from app.domain.webhook_ports import Answer
from app.domain.webhooks import ANSWER_KEPT, is_public

ANSWER_BYTES = 2048
ANSWER_SECONDS = 1.0
TRIED_ADDRESSES = 2
MOST_CONNECTIONS = 200


# Everything that httpx raises: these have no common base.
_ANY = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)


class RefusedAddress(Exception):
    """The name leads to a network that is not public."""


class WebhookSender:
    """Close it with `aclose`."""

    def __init__(self, timeout_seconds: float, *, any_target: bool) -> None:
        """`any_target`: private addresses too."""
        self._timeout = timeout_seconds
        self._any_target = any_target
        self._http = httpx.AsyncClient(
            timeout=timeout_seconds,
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
        )
        # Not the threads that all share: a customer's name server that hangs would hold up the names that calls need.
        self._lookups = ThreadPoolExecutor(MOST_CONNECTIONS, thread_name_prefix="webhook-name")

    async def aclose(self) -> None:
        self._lookups.shutdown(wait=False, cancel_futures=True)
        await self._http.aclose()

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One request. What the receiver or the network does is in the answer."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._send(httpx.URL(url), headers, body)
        except TimeoutError:
            return Answer(None, "timeout")
        except RefusedAddress:
            return Answer(None, "refused_address")
        except httpx.TimeoutException:
            return Answer(None, "timeout")
        except (*_ANY, OSError, ValueError) as error:
            # Its kind alone: the text may quote the address, whose query may hold a secret.
            return Answer(None, _kind(error))

    async def _send(self, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> Answer:
        if self._any_target:
            return await self._post(url, dict(headers), body, {})
        addresses = await self._addresses(url)
        own = {**headers, "Host": url.netloc.decode("ascii")}
        for address in addresses[:TRIED_ADDRESSES]:
            try:
                return await self._post(url.copy_with(host=str(address)), own, body, {"sni_hostname": url.host})
            except httpx.ConnectError:
                if address == addresses[:TRIED_ADDRESSES][-1]:
                    raise
        raise RefusedAddress

    async def _addresses(self, url: httpx.URL) -> list[IPv4Address | IPv6Address]:
        """Where the name leads. Raises RefusedAddress if any of it is not public, OSError if it leads nowhere."""
        port = url.port or (443 if url.scheme == "https" else 80)
        look_up = partial(socket.getaddrinfo, url.host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._lookups, look_up)
        addresses = list(dict.fromkeys(ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found))
        if not addresses or not all(is_public(address) for address in addresses):
            raise RefusedAddress
        return addresses

    async def _post(self, url: httpx.URL, headers: dict[str, str], body: bytes, extensions: dict[str, str]) -> Answer:
        request = self._http.build_request("POST", url, content=body, headers=headers, extensions=extensions)
        response = await self._http.send(request, stream=True)
        try:
            answer = await _beginning(response)
        finally:
            await response.aclose()
        text = answer[:ANSWER_BYTES].decode("utf-8", "replace")
        shown = "".join(letter if letter.isprintable() else " " for letter in text)[:ANSWER_KEPT]
        return Answer(response.status_code, None, shown, _retry_after(response))


async def _beginning(response: httpx.Response) -> bytes:
    """Of the answer's body. Its status has been heard: whatever becomes of the rest, nothing is sent again for it."""
    answer = b""
    with contextlib.suppress(*_ANY, OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            # Raw: a small answer could unpack to a large one. In pieces as they come: each is 64 KB at most.
            async for chunk in response.aiter_raw():
                answer += chunk
                if len(answer) >= ANSWER_BYTES:
                    break
    return answer


def _retry_after(response: httpx.Response) -> timedelta | None:
    """Of seconds alone: a date would have to be told by the receiver's clock."""
    wish = response.headers.get("retry-after", "")
    return timedelta(seconds=int(wish)) if wish.isascii() and wish.isdigit() and len(wish) < 8 else None


def _kind(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "name_not_found"
    if isinstance(error, httpx.ConnectError):
        return "tls_failed" if isinstance(error.__cause__, ssl.SSLError) or "SSL" in str(error) else "not_connected"
    return "no_answer"
