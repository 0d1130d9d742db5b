"""Whether the system stays what it is: studies without end, beside faults, and what processes hold.

    python benchmarks/soak.py [--minutes 20] [--postgres] [--json]

One data service, two workers and one optimizer, each a process of its own, on SQLite (or a private
PostgreSQL). Rounds of a study of every search, in turns one after the other and all at once, until
the time is over. Beside them: one of the workers is killed (SIGKILL) every minute or so and started
again, three clients join running studies, read some events and leave, and every finished study is
asked for its report. Every fourth study is deleted.

    studies, trials, failed_studies, call_errors, reports, watches, kills
    trials_per_second_first_fifth, _last_fifth
    digests_differ                  specs whose studies did not all give the same trials
    <process>_rss_mb_start, _warm (after a tenth of the time), _end
    <process>_rss_mb_per_hour, _second_half     growth after the tenth, and in the second half
    <process>_files_*, _threads_*   file descriptors and threads at the same times

The second worker, which is killed, has figures for its last life alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc, study_pb2

# The folder above, so that the file runs from anywhere without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.parts import datasets, reference_grid
from benchmarks.parts.held import Held
from benchmarks.parts.printing import print_figures
from benchmarks.parts.processes import Service, free_port, launched, service
from benchmarks.parts.soaked_studies import specs
from tests.private_servers import PostgresServer

_SAMPLE_SECONDS: Final = 5.0
_KILL_SECONDS: Final = (40.0, 80.0)
_WATCHERS: Final = 3
_DELETED_ONE_IN: Final = 4
_FIFTH: Final = 5
_STUDY_SECONDS: Final = 600.0
_SUCCEEDED: Final = study_pb2.Study.STATE_SUCCEEDED


@dataclass(slots=True)
class System:
    """The processes, of which the second worker comes and goes."""

    data: Service
    steady: Service
    killed: Service
    optimizer: Service
    home: Path
    worker_settings: dict[str, str]

    def replace_killed(self) -> None:
        """Kill the second worker as a crash would and start it again where it was."""
        self.killed.process.kill()
        self.killed.process.wait()
        self.killed = launched("backtest", self.home, self.killed.address, self.worker_settings)


@dataclass(slots=True)
class Seen:
    """What happened."""

    began: float = field(default_factory=time.monotonic)
    finished: list[tuple[float, int]] = field(default_factory=list)
    digests: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    counts: Counter[str] = field(default_factory=Counter)
    held: dict[str, Held] = field(default_factory=lambda: defaultdict(Held))
    running: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def study(self, label: str, study: study_pb2.Study) -> None:
        """Note a study that ended."""
        trials = study.progress.finished_trial_count
        self.finished.append((time.monotonic() - self.began, trials))
        self.digests[label].add(study.trials_digest)
        if study.state != _SUCCEEDED:
            self.counts["failed_studies"] += 1
            self.errors.append(f"{study.name} ({label}): {study.error}")

    def told(self, seconds: float) -> dict[str, float]:
        """Return all figures of a run of so many seconds."""
        names = ("failed_studies", "call_errors", "reports", "watches", "kills", "deleted")
        found = {name: float(self.counts[name]) for name in names}
        fifth = seconds / _FIFTH
        first = sum(trials for at, trials in self.finished if at < fifth)
        last = sum(trials for at, trials in self.finished if seconds - fifth <= at < seconds)
        found |= {
            "minutes": seconds / 60,
            "studies": float(len(self.finished)),
            "trials": float(sum(trials for _, trials in self.finished)),
            "trials_per_second_first_fifth": first / fifth,
            "trials_per_second_last_fifth": last / fifth,
            "digests_differ": float(sum(len(each) > 1 for each in self.digests.values())),
        }
        for name, held in self.held.items():
            found |= {f"{name}_{key}": value for key, value in held.told().items()}
        return found

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Count a call that is answered by an error, and go on."""
        try:
            yield
        except grpc.aio.AioRpcError as error:
            self.counts["call_errors"] += 1
            self.errors.append(f"{error.code().name}: {error.details()}")


async def run(stub: Any, label: str, spec: study_pb2.StudySpec, seen: Seen) -> None:
    """Run one study from its creation to its report, and perhaps its end."""
    async with seen.calling():
        study = (await stub.CreateStudy(pb.CreateStudyRequest(spec=spec))).study
        seen.running.add(study.name)
        try:
            events = stub.WatchStudy(pb.WatchStudyRequest(name=study.name), timeout=_STUDY_SECONDS)
            async for answer in events:
                if answer.event.HasField("study_finished"):
                    seen.study(label, answer.event.study_finished)
        finally:
            seen.running.discard(study.name)
        await stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name), timeout=300)
        seen.counts["reports"] += 1
        if len(seen.finished) % _DELETED_ONE_IN == 0:
            await stub.DeleteStudy(pb.DeleteStudyRequest(name=study.name))
            seen.counts["deleted"] += 1


async def rounds(stub: Any, kinds: dict[str, study_pb2.StudySpec], seen: Seen, end: float) -> None:
    """Run every study in turn, then all at once, and so on until the time is over."""
    while time.monotonic() < end:
        for label, spec in kinds.items():
            if time.monotonic() < end:
                await run(stub, label, spec, seen)
        if time.monotonic() < end:
            await asyncio.gather(*(run(stub, label, spec, seen) for label, spec in kinds.items()))


async def watchers(stub: Any, seen: Seen, chance: random.Random) -> None:
    """Join a running study from its first event, leave after some, and so on for ever."""
    while True:
        await asyncio.sleep(chance.uniform(0.1, 2.0))
        if not seen.running:
            continue
        name = chance.choice(sorted(seen.running))
        left = chance.randrange(1, 30)
        call = stub.WatchStudy(pb.WatchStudyRequest(name=name), timeout=_STUDY_SECONDS)
        # The study may be deleted while it is watched.
        with suppress(grpc.aio.AioRpcError):
            async for _ in call:
                left -= 1
                if not left:
                    break
        call.cancel()
        seen.counts["watches"] += 1


async def killing(system: System, seen: Seen, chance: random.Random) -> None:
    """Kill the second worker now and then, for ever."""
    while True:
        await asyncio.sleep(chance.uniform(*_KILL_SECONDS))
        await asyncio.to_thread(system.replace_killed)
        seen.counts["kills"] += 1
        del seen.held["killed_worker"]


async def looking(system: System, seen: Seen) -> None:
    """Look at all processes every few seconds, for ever."""
    while True:
        members = {
            "data": system.data,
            "worker": system.steady,
            "killed_worker": system.killed,
            "optimizer": system.optimizer,
        }
        for name, member in members.items():
            with suppress(OSError, KeyError):  # it is being killed
                seen.held[name].look(member.process.pid)
        await asyncio.sleep(_SAMPLE_SECONDS)


async def soaked(system: System, kinds: dict[str, study_pb2.StudySpec], minutes: float) -> Seen:
    """Run everything for some minutes."""
    seen, chance = Seen(), random.Random(1)
    async with grpc.aio.insecure_channel(system.optimizer.address) as channel:
        stub: Any = optimizer_service_pb2_grpc.OptimizerServiceStub(channel)
        beside = [asyncio.create_task(watchers(stub, seen, chance)) for _ in range(_WATCHERS)]
        beside.append(asyncio.create_task(killing(system, seen, chance)))
        beside.append(asyncio.create_task(looking(system, seen)))
        await rounds(stub, kinds, seen, seen.began + minutes * 60)
        for task in beside:
            task.cancel()
        ended = await asyncio.gather(*beside, return_exceptions=True)
    for one in ended:
        if not isinstance(one, asyncio.CancelledError):
            raise one if isinstance(one, BaseException) else AssertionError
    return seen


@contextmanager
def system_in(home: Path, database_url: str | None) -> Iterator[tuple[System, Any]]:
    """Start all processes; yields them and the pinned candles."""
    with ExitStack() as stack:
        data = stack.enter_context(service("data", home))
        snapshot = datasets.synthetic(
            data.address, reference_grid.INTERVAL, reference_grid.BARS, reference_grid.LOOKBACK
        )
        settings = {"ASSAY_DATA_ADDRESS": data.address}
        steady = stack.enter_context(service("backtest", home, **settings))
        killed = launched("backtest", home, f"127.0.0.1:{free_port()}", settings)
        own = {"ASSAY_BACKTEST_ADDRESS": f"ipv4:{steady.address},{killed.address}"}
        if database_url:
            own["ASSAY_DATABASE_URL"] = database_url
        optimizer = stack.enter_context(service("optimizer", home, **own))
        system = System(data, steady, killed, optimizer, home, settings)
        stack.callback(lambda: system.killed.process.send_signal(signal.SIGTERM))
        yield system, snapshot


def measure(minutes: float, *, postgres: bool) -> tuple[dict[str, float], list[str]]:
    """Return all figures of one run, and what went wrong in words."""
    with tempfile.TemporaryDirectory(prefix="assay-soak-") as folder, ExitStack() as stack:
        url = None
        if postgres:
            server = PostgresServer()
            stack.callback(server.stop)
            url = server.new_database()
        system, snapshot = stack.enter_context(system_in(Path(folder), url))
        seen = asyncio.run(soaked(system, specs(snapshot), minutes))
        return seen.told(minutes * 60), seen.errors


def main() -> None:
    """Measure and print."""
    # Servers are started while channels are open: gRPC's fork handlers abort such children.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="how long studies are begun")
    parser.add_argument("--postgres", action="store_true", help="a private PostgreSQL")
    parser.add_argument("--json", action="store_true", help="print one flat JSON object")
    arguments = parser.parse_args()
    figures, errors = measure(arguments.minutes, postgres=arguments.postgres)
    for error in errors:
        print(error, file=sys.stderr)
    print_figures(figures, as_json=arguments.json)


if __name__ == "__main__":
    main()
