"""A provider that answers at once, and whose calls are over when they are first asked about.

`python -m benchmarks.rivals.provider PORT`. It speaks just enough HTTP and Retell for the worker, and as little as it
can: what is measured is the worker. The simulator (scripts/retell_simulator) is the one that behaves like Retell.
"""

import asyncio
import json
import sys
from typing import Any, cast

from workers.call_worker import loop_factory

CONCURRENCY = {"current_concurrency": 0, "concurrency_limit": 10_000}
SECONDS = 30


class Provider(asyncio.Protocol):
    """One connection. Requests come one after another, each whole before the next.

    A call's id says which attempt it is: so whoever is asked knows it, also one that was started after it.
    """

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = _length(head)
        if len(body) < length:
            return
        self._received = body[length:]
        method, path, _ = head.split(b" ", 2)
        status, answer = self._answer(method, path.decode(), body[:length])
        text = json.dumps(answer).encode()
        self._transport.write(
            b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text)
        )

    def _answer(self, method: bytes, path: str, body: bytes) -> tuple[bytes, Any]:
        if path == "/v2/create-phone-call":
            metadata = json.loads(body)["metadata"]
            return b"201 Created", {
                "call_id": _CALL + metadata["attempt_id"],
                "call_status": "registered",
                "metadata": metadata,
            }
        if path.startswith(_GET + _CALL):
            call_id = path.removeprefix(_GET)
            metadata = {"attempt_id": call_id.removeprefix(_CALL)}
            return b"200 OK", {"call_id": call_id, "metadata": metadata, **_ENDED}
        if path == "/get-concurrency":
            return b"200 OK", CONCURRENCY
        return b"404 Not Found", {"message": f"{method.decode()} {path} is not known here"}


_CALL = "call_"
_GET = "/v2/get-call/"
_ENDED = {
    "call_status": "ended",
    "disconnection_reason": "agent_hangup",
    "start_timestamp": 1_795_400_000_000,
    "end_timestamp": 1_795_400_000_000 + SECONDS * 1000,
    "duration_ms": SECONDS * 1000,
    "call_cost": {"combined_cost": 3.5, "total_duration_seconds": SECONDS},
    "call_analysis": {"call_summary": "Pagará el viernes.", "in_voicemail": False, "user_sentiment": "Neutral"},
    "transcript": "Agent: Hola, le llamo de Empresa XYZ.\nUser: Pagaré el viernes.\n",
    "recording_url": "https://example.com/recording.wav",
    "collected_dynamic_variables": {"fecha_pago_cliente": "2026-12-05"},
}


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main(int(sys.argv[1])))
