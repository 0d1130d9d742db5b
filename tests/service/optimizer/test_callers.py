"""How many unfinished studies a caller may have, over real gRPC, with tokens and without."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc, study_pb2
from google.protobuf import json_format

from services.common.errors import AssayError, Code
from services.common.security.roles import AUTHORIZATION_KEY, digest_of
from services.common.server import running
from services.common.settings import ServiceSettings, SettingsError, read_settings
from services.common.status import error_of
from services.optimizer.__main__ import application
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.settings import OptimizerSettings
from tests.service.optimizer import scripted_worker
from tests.service.optimizer.conftest import StartOptimizer
from tests.service.optimizer.scripted_worker import ScriptedWorker

LIMIT = 2


class Callers:
    """Two replicas that ask for tokens, on one store, with a worker that waits.

    Attributes:
        worker: Studies go on when its gate is opened.
        stubs: Of the replicas.
        spec: Of the studies they create.
    """

    def __init__(self, worker: ScriptedWorker, stubs: list[Any], spec: dict[str, Any]) -> None:
        self.worker = worker
        self.stubs = stubs
        self.spec = spec

    async def call(self, name: str, method: str, request: Any, replica: int = 0) -> Any:
        """Call as somebody."""
        metadata = ((AUTHORIZATION_KEY, f"Bearer token-of-{name}"),)
        return await getattr(self.stubs[replica], method)(request, metadata=metadata, timeout=30)

    async def create(self, name: str, replica: int = 0, **request: Any) -> study_pb2.Study:
        """Create a study as somebody, on a replica."""
        spec = json_format.ParseDict(self.spec, study_pb2.StudySpec())
        wanted = pb.CreateStudyRequest(spec=spec, **request)
        study: study_pb2.Study = (await self.call(name, "CreateStudy", wanted, replica)).study
        return study

    async def refused(self, call: Any) -> AssayError:
        """Await a call, and return why it was refused."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return error_of(caught.value)


@pytest.fixture
async def callers(
    tmp_path: Path, empty_store: Path, random_spec: dict[str, Any]
) -> AsyncIterator[Callers]:
    """Replicas that know ann (with two tokens), ben and the boss."""
    names = {"ann": "run", "ben": "run", "boss": "admin"}
    lines = [f"{name} {role} {digest_of(f'token-of-{name}')}" for name, role in names.items()]
    lines.append(f"ann run {digest_of('token-of-ann-too')}")
    tokens = tmp_path / "tokens"
    tokens.write_text("\n".join(lines))
    database = tmp_path / "studies.sqlite3"
    shutil.copy(empty_store, database)
    worker = ScriptedWorker()
    worker.close_gate()
    stubs = []
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(running(scripted_worker.application(worker)))
        for replica in ("one", "two"):
            settings = OptimizerSettings(
                home=str(tmp_path),
                database_url=f"sqlite:///{database}",
                backtest_address=f"127.0.0.1:{port}",
                replica_name=replica,
                studies_per_caller=LIMIT,
            )
            app = application(settings, await OptunaStore.open(settings.store_url))
            guarded = ServiceSettings("127.0.0.1:0", tokens_file=str(tokens))
            at = await stack.enter_async_context(running(app, settings=guarded))
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{at}")
            await stack.enter_async_context(channel)
            stubs.append(optimizer_service_pb2_grpc.OptimizerServiceStub(channel))
        yield Callers(worker, stubs, random_spec)


async def test_a_caller_with_enough_studies_is_refused_on_every_replica(callers: Callers) -> None:
    """By any of its tokens; others are not, and nothing is asked of workers for it."""
    await callers.create("ann", 0)
    await callers.create("ann-too", 1)
    asked = len(callers.worker.batches)
    for replica, name in ((0, "ann-too"), (1, "ann")):
        error = await callers.refused(callers.create(name, replica))
        assert (error.code, error.reason) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_STUDIES")
        assert (error.domain, error.metadata) == ("optimizer.assay", {"limit": "2"})
    assert len(callers.worker.batches) == asked
    await callers.create("ben", 1)
    assert (await callers.call("ann", "CreateStudy", _estimate(callers))).HasField("estimate")


def _estimate(callers: Callers) -> pb.CreateStudyRequest:
    spec = json_format.ParseDict(callers.spec, study_pb2.StudySpec())
    return pb.CreateStudyRequest(spec=spec, validate_only=True)


async def test_a_repeated_request_is_never_one_too_many(callers: Callers) -> None:
    """Nor is an id that is taken: that is told as before."""
    first = await callers.create("ann", request_id="mine", study_id="first")
    await callers.create("ann")
    again = await callers.create("ann", 1, request_id="mine", study_id="first")
    taken = await callers.refused(callers.create("ann", study_id="first"))

    assert again.name == first.name
    assert taken.reason == "STUDY_EXISTS"


async def test_a_copy_of_a_request_is_not_one_too_many_beside_the_other(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other makes the study after this one has looked for it, and before it is counted."""
    await callers.create("ann")
    counted = OptunaStore.unfinished_count
    made: list[study_pb2.Study] = []

    async def made_meanwhile(store: OptunaStore, caller: str) -> int:
        monkeypatch.setattr(OptunaStore, "unfinished_count", counted)
        made.append(await callers.create("ann", 1, request_id="mine"))
        return await counted(store, caller)

    monkeypatch.setattr(OptunaStore, "unfinished_count", made_meanwhile)
    again = await callers.create("ann", 0, request_id="mine")

    assert [one.name for one in made] == [again.name]


async def test_of_many_at_once_as_many_as_may_be_are_made(callers: Callers) -> None:
    """Whichever replicas they come to."""
    wanted = [callers.create("ann", number % 2) for number in range(8)]
    found = await asyncio.gather(*wanted, return_exceptions=True)

    made = [one for one in found if isinstance(one, study_pb2.Study)]
    refused = [error_of(one) for one in found if isinstance(one, grpc.aio.AioRpcError)]
    assert len(made) == LIMIT
    assert [one.reason for one in refused] == ["TOO_MANY_STUDIES"] * 6


async def test_what_has_ended_no_longer_counts_until_it_is_resumed(callers: Callers) -> None:
    """A resumed study is its creator's, whoever resumes it."""
    # So many trials that none of them ends by itself.
    callers.spec["random"] = {"trial_count": 20_000}
    first = await callers.create("ann")
    await callers.create("ann")
    await callers.worker.waiting.wait()
    await callers.call("boss", "StopStudy", pb.StopStudyRequest(name=first.name))
    callers.worker.gate.set()
    stub, metadata = callers.stubs[0], ((AUTHORIZATION_KEY, "Bearer token-of-ben"),)
    watch = stub.WatchStudy(pb.WatchStudyRequest(name=first.name), metadata=metadata, timeout=60)
    assert [one async for one in watch][-1].event.HasField("study_finished")
    callers.worker.close_gate()
    await callers.create("ann", 1)
    assert (await callers.refused(callers.create("ann"))).reason == "TOO_MANY_STUDIES"
    resume = pb.ResumeStudyRequest(name=first.name)
    error = await callers.refused(callers.call("boss", "ResumeStudy", resume))
    assert (error.code, error.reason) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_STUDIES")


async def test_without_tokens_the_limit_is_everybodys(
    start: StartOptimizer, random_spec: dict[str, Any], refused: Callable[[Any], Any]
) -> None:
    """And there is none where none is set."""
    worker = ScriptedWorker()
    worker.close_gate()
    limited = await start(worker, replica_name="one", studies_per_caller=1)
    free = await start(worker, replica_name="two")
    await limited.create(random_spec)
    error = await refused(limited.create(random_spec))
    await free.create(random_spec)
    await free.create(random_spec)

    assert error.reason == "TOO_MANY_STUDIES"
    assert "there are 1 unfinished studies" in error.message


def test_the_limit_is_a_number_of_studies() -> None:
    """Nothing else is taken; unset there is none."""
    with pytest.raises(SettingsError, match="ASSAY_STUDIES_PER_CALLER must be 1 to 1,000,000"):
        read_settings(OptimizerSettings, {"ASSAY_STUDIES_PER_CALLER": "0"})
    assert read_settings(OptimizerSettings, {}).studies_per_caller is None
    chosen = read_settings(OptimizerSettings, {"ASSAY_STUDIES_PER_CALLER": "7"})
    assert chosen.studies_per_caller == 7
