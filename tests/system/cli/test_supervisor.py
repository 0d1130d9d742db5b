"""The supervisor with small real processes: restarts, giving up, and no child that outlives it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.child import ChildKeepsDyingError, ChildPlan
from cli.plan import PortTakenError, ServePlan, plan
from cli.supervisor import HomeInUseError, Supervisor, supervised

STAND_IN = """
import asyncio, os, sys
from services.common.server import Application, serve
from services.common.settings import ServiceSettings

async def nothing():
    pass

if os.environ.get("STAND_IN_DIES"):
    sys.exit("no reason at all")
application = Application("stand-in", "stand.in", "stand.in", lambda server: None, nothing, nothing)
asyncio.run(serve(application, ServiceSettings(os.environ["ASSAY_LISTEN_ADDRESS"])))
"""


@pytest.fixture
def planned(tmp_path: Path) -> ServePlan:
    """Plan three stand-ins, one for each service, on free ports."""
    (tmp_path / "stand_in.py").write_text(textwrap.dedent(STAND_IN))
    made = plan(tmp_path / "home", 1, (0, 0, 0), {**os.environ, "PYTHONPATH": str(tmp_path)})

    def stand_in(child: ChildPlan) -> ChildPlan:
        return ChildPlan(child.name, "stand_in", "stand.in", child.port, child.environment)

    return ServePlan(stand_in(made.data), (stand_in(made.workers[0]),), stand_in(made.optimizer))


@asynccontextmanager
async def running(
    planned: ServePlan, home: Path, said: list[str] | None = None
) -> AsyncIterator[Supervisor]:
    """Run a supervisor until its services are SERVING."""
    lines = [] if said is None else said
    async with supervised(
        planned, home, drain_seconds=5, verbose=False, say=lines.append
    ) as supervisor:
        await supervisor.serving()
        yield supervisor


def pids(home: Path) -> dict[str, int]:
    """Return the process ids of the children by their names."""
    return {file.stem: int(file.read_text()) for file in (home / "run").glob("*.pid")}


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


def has_ended(pidfd: int, within_seconds: float) -> bool:
    """Wait for the end of a process that is no child of this one; tells whether it came in time."""
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    return bool(ended.poll(within_seconds * 1000))


async def serving_again(port: int) -> None:
    """Wait until a process serves on a port; the call itself waits for the connection."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30)


async def test_all_children_are_gone_in_the_end(planned: ServePlan, tmp_path: Path) -> None:
    """Each child has a pid file while it runs; afterwards there is neither file nor process."""
    home = tmp_path / "home"
    async with running(planned, home):
        found = pids(home)
        assert set(found) == {"data", "backtest-1", "optimizer"}
        assert all(is_alive(pid) for pid in found.values())

    assert not any(is_alive(pid) for pid in found.values())
    assert pids(home) == {}
    assert "service.stopped" in (home / "logs" / "data.log").read_text()


async def test_a_killed_child_is_started_again_on_its_port(
    planned: ServePlan, tmp_path: Path
) -> None:
    """The successor has another process id and the same port; the user is told in one line."""
    home, said = tmp_path / "home", list[str]()
    async with running(planned, home, said):
        before = pids(home)["backtest-1"]
        os.kill(before, signal.SIGKILL)
        await serving_again(planned.workers[0].port)
        # Two servers may answer for a moment only where one port is shared: here never.
        after = pids(home)["backtest-1"]

    assert after != before
    assert said == [
        f"backtest-1 was ended by signal 9; starting it again on port {planned.workers[0].port}"
    ]


async def test_a_child_that_keeps_dying_ends_the_rest(planned: ServePlan, tmp_path: Path) -> None:
    """After five deaths the supervisor gives up and tells the child's last words."""
    home = tmp_path / "home"
    worker = planned.workers[0]
    dying = ChildPlan(
        worker.name,
        worker.module,
        worker.service,
        worker.port,
        {**worker.environment, "STAND_IN_DIES": "1"},
    )
    with pytest.raises(ChildKeepsDyingError) as caught:
        async with running(ServePlan(planned.data, (dying,), planned.optimizer), home):
            pass

    assert "backtest-1 ended with status 1; it died 5 times" in str(caught.value)
    assert "no reason at all" in str(caught.value)
    assert pids(home) == {}


async def test_children_do_not_outlive_a_killed_supervisor(
    planned: ServePlan, tmp_path: Path
) -> None:
    """When the supervisor itself is killed the kernel ends its children."""
    home = tmp_path / "home"
    program = (
        "import asyncio, sys, pathlib\n"
        "from cli.child import Child, ChildPlan\n"
        "import os\n"
        "async def main():\n"
        "    home = pathlib.Path(sys.argv[1])\n"
        "    for name in ('logs', 'run'): (home / name).mkdir(parents=True)\n"
        "    plan = ChildPlan('data', 'stand_in', 'stand.in', int(sys.argv[2]), dict(os.environ))\n"
        "    child = Child(plan, home, verbose=False, say=print)\n"
        "    task = asyncio.create_task(child.keep_running())\n"
        "    await child.serving()\n"
        "    print('serving', flush=True)\n"
        "    await task\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program + "asyncio.run(main())\n"),
        *(str(home), str(planned.data.port)),
        env=planned.data.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"serving\n"
    child = os.pidfd_open(pids(home)["data"])
    process.kill()
    await process.wait()

    assert await asyncio.to_thread(has_ended, child, within_seconds=10)
    os.close(child)


async def test_one_home_has_one_supervisor(planned: ServePlan, tmp_path: Path) -> None:
    """A second one is refused with the first one's process id."""
    home = tmp_path / "home"
    async with running(planned, home):
        with pytest.raises(HomeInUseError, match=str(os.getpid())):
            async with running(planned, home):
                pass


async def test_a_taken_port_is_named(planned: ServePlan, tmp_path: Path) -> None:
    """Nothing is started where something else listens."""
    async with running(planned, tmp_path / "home"):
        taken = planned.data.port
        with pytest.raises(PortTakenError, match=f"port {taken}"):
            plan(tmp_path / "other", 2, (taken, 0, 0), {})


def test_the_optimizer_is_given_every_worker(tmp_path: Path) -> None:
    """Workers share the CPUs, listen on ports of their own, and are all named to the optimizer."""
    planned = plan(tmp_path, 3, (0, 0, 0), {"ASSAY_DATABASE_URL": "sqlite://"})

    ports = [worker.port for worker in planned.workers]
    own = planned.optimizer.environment
    assert len(set(ports)) == 3
    assert own["ASSAY_BACKTEST_ADDRESS"] == "ipv4:" + ",".join(f"127.0.0.1:{p}" for p in ports)
    assert own["ASSAY_DATABASE_URL"] == "sqlite://"
    assert own["ASSAY_LISTEN_ADDRESS"] == f"127.0.0.1:{planned.optimizer.port}"
    assert planned.workers[1].environment["ASSAY_DATA_ADDRESS"] == f"127.0.0.1:{planned.data.port}"
    assert f"backtest 127.0.0.1:{ports[0]} (+127.0.0.1:{ports[1]} " in planned.line
