"""Which processes `assay serve` starts: modules, ports and environments."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.child import ChildPlan
from cli.connection import BACKTEST_SERVICE, DATA_SERVICE, OPTIMIZER_SERVICE, ClientSettings
from services.common.channel import PLAIN
from services.common.settings import ChannelSettings, read_settings

HOST = "127.0.0.1"


class PortTakenError(Exception):
    """Something else listens on a wanted port."""


@dataclass(frozen=True, slots=True)
class ServePlan:
    """All processes and where they listen.

    Attributes:
        data: The data service.
        workers: The backtest workers, the first on the wanted port.
        optimizer: The optimizer.
        security: How they are spoken to.
    """

    data: ChildPlan
    workers: tuple[ChildPlan, ...]
    optimizer: ChildPlan
    security: ChannelSettings = PLAIN

    @property
    def children(self) -> tuple[ChildPlan, ...]:
        """All children in the order in which they depend on each other."""
        return (self.data, *self.workers, self.optimizer)

    @property
    def line(self) -> str:
        """One line that says where everything listens."""
        first, *others = (f"{HOST}:{worker.port}" for worker in self.workers)
        more = f" (+{' '.join(others)})" if others else ""
        return (
            f"assay is serving: data {HOST}:{self.data.port}, backtest {first}{more}, "
            f"optimizer {HOST}:{self.optimizer.port}"
        )

    def client_settings(self) -> ClientSettings:
        """Return where a client finds these services."""
        return ClientSettings(
            **asdict(self.security),
            data_address=f"{HOST}:{self.data.port}",
            backtest_address=_worker_target([worker.port for worker in self.workers]),
            optimizer_address=f"{HOST}:{self.optimizer.port}",
        )


def plan(
    home: Path, workers: int, ports: Sequence[int], environment: Mapping[str, str]
) -> ServePlan:
    """Decide what to start.

    Args:
        home: Folder of the embedded stores.
        workers: How many backtest workers, at least 1.
        ports: Ports of data, first worker and optimizer; 0 takes a free one.
        environment: The environment to hand on; addresses and home are replaced in it.

    Raises:
        PortTakenError: names every port that something else listens on.
        SettingsError: the environment holds settings that cannot be used.
    """
    security = read_settings(ChannelSettings, environment)
    data_port, first_port, optimizer_port, *more = _reserve([*ports, *[0] * (workers - 1)])
    worker_ports = [first_port, *more]
    shared = {
        # One address cannot serve them all.
        **{name: value for name, value in environment.items() if name != "ASSAY_HEALTH_ADDRESS"},
        "ASSAY_HOME": str(home),
        "ASSAY_DATA_ADDRESS": f"{HOST}:{data_port}",
        "ASSAY_BACKTEST_ADDRESS": _worker_target(worker_ports),
        "ASSAY_OPTIMIZER_ADDRESS": f"{HOST}:{optimizer_port}",
    }

    def child(name: str, module: str, service: str, port: int) -> ChildPlan:
        own = {**shared, "ASSAY_LISTEN_ADDRESS": f"{HOST}:{port}"}
        if module == "services.backtest":
            own.setdefault("ASSAY_SLOTS", str(max(1, _cpu_count() // workers)))
        return ChildPlan(name, module, service, port, own, security)

    return ServePlan(
        data=child("data", "services.data", DATA_SERVICE, data_port),
        workers=tuple(
            child(f"backtest-{number}", "services.backtest", BACKTEST_SERVICE, port)
            for number, port in enumerate(worker_ports, start=1)
        ),
        optimizer=child("optimizer", "services.optimizer", OPTIMIZER_SERVICE, optimizer_port),
        security=security,
    )


def _cpu_count() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _worker_target(ports: Sequence[int]) -> str:
    return "ipv4:" + ",".join(f"{HOST}:{port}" for port in ports)


def _reserve(ports: Sequence[int]) -> list[int]:
    """Return the ports with free ones in place of zeros; all are held at once to differ."""
    taken: list[int] = []
    found: list[int] = []
    with ExitStack() as held:
        # Wanted ports first, so that no free one is taken from among them.
        for index in sorted(range(len(ports)), key=lambda place: ports[place] == 0):
            probe = held.enter_context(socket.socket())
            # As the services do: a port whose last connections are fading is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, ports[index]))
                found.append(probe.getsockname()[1])
            except OSError:
                taken.append(ports[index])
                found.append(ports[index])
    if taken:
        raise PortTakenError(f"already in use: port {', '.join(map(str, taken))}")
    order = sorted(range(len(ports)), key=lambda place: ports[place] == 0)
    return [port for _, port in sorted(zip(order, found, strict=True))]
