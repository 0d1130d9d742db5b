"""Making a study: check everything, run a few points, pin the data, store, start."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import AssayError, refuse
from services.common.security.authorization import caller_name
from services.optimizer.convert import probing
from services.optimizer.convert.creation import (
    check_repetition,
    check_request,
    id_violations,
    ledger_key_of,
    reachable_plan,
    study_exists,
)
from services.optimizer.convert.defaults import pin, pin_counts, with_defaults
from services.optimizer.convert.requests import request_digest
from services.optimizer.convert.warnings import warnings_of
from services.optimizer.core.records import StudyRecord, StudyState
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.lifecycle import too_many_studies
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Trial
from services.optimizer.servicer.collaborators import Collaborators
from services.optimizer.servicer.data_probes import DataProbes, Probe
from services.optimizer.servicer.earlier_studies import EarlierStudies
from services.optimizer.servicer.window_pins import WindowPins


@dataclass(frozen=True, slots=True)
class _Examined:
    """A study that may begin.

    Attributes:
        spec: Its spec with every default and the pinned data.
        plan: Its plan.
        origin: The study it is a rerun of; None for a spec of its own.
        probes: The trial run of a few points over each of its data.
    """

    spec: study_pb2.StudySpec
    plan: StudyPlan
    origin: StudyRecord | None
    probes: Sequence[Probe]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know."""
        return warnings_of(self.plan, *(one.response for one in self.probes))

    @property
    def limits(self) -> Limits:
        """When the study ends; a rerun ends where the first run does, extended or not."""
        return self.plan.limits if self.origin is None else self.origin.limits


class StudyMaker:
    """Makes studies of requests, each once."""

    def __init__(self, collaborators: Collaborators) -> None:
        self._with = collaborators
        self._earlier = EarlierStudies(collaborators.store)
        self._probes = DataProbes(collaborators.backtests)
        self._windows = WindowPins(collaborators.backtests, collaborators.trial_limit)
        # A request that is repeated while its first copy is being served waits for it.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def made(self, request: pb.CreateStudyRequest) -> StudyRecord:
        """Return the study of a request: the one it made before, or a new one, started."""
        key = request.request_id or request.study_id
        async with self._turns.setdefault(key, asyncio.Lock()) if key else asyncio.Lock():
            record = await self._made_before(request)
            if record is not None:
                return record
            try:
                await self._check_room()
                examined = await self._examined(request)
                code_version = await self._with.backtests.code_version()
                # Once stored it must be started, even when the caller has gone.
                return await asyncio.shield(self._begun(request, examined, code_version))
            except AssayError:
                # The store may have kept it without our hearing of it, or have it from a copy of
                # the request whose caller has gone.
                record = await self._made_before(request) if request.request_id else None
                if record is None:
                    raise
                return record

    async def estimated(self, request: pb.CreateStudyRequest) -> pb.CreateStudyResponse:
        """Check a request and estimate its study; nothing is stored.

        The trial run is made twice: the second time the candles are cached, as they will be.
        """
        if not id_violations(request) and await self._with.store.get(request.study_id) is not None:
            raise study_exists(request.study_id)
        examined = await self._examined(request)
        began = self._with.clock.monotonic()
        await self._probes.run_again(examined.probes)
        seconds = self._with.clock.monotonic() - began
        return pb.CreateStudyResponse(
            study=study_pb2.Study(spec=examined.spec, warnings=examined.warnings),
            estimate=probing.estimate_message(
                examined.plan,
                [one.response for one in examined.probes],
                examined.probes[0].request.set_count,
                seconds,
            ),
        )

    async def _check_room(self) -> None:
        """Refuse a caller with too many studies before workers are asked for anything.

        Raises:
            AssayError: RESOURCE_EXHAUSTED/TOO_MANY_STUDIES.
        """
        limit, caller = self._with.caller_limit, caller_name.get()
        if limit is not None and await self._with.store.unfinished_count(caller) >= limit:
            raise too_many_studies(caller, limit)

    async def _made_before(self, request: pb.CreateStudyRequest) -> StudyRecord | None:
        """Return the study a repeated request made; refuse an id that is taken."""
        store = self._with.store
        if id_violations(request):
            return None
        if request.request_id:
            record = await store.find_request(request.request_id)
            if record is not None:
                check_repetition(request, record)
                return await self._with.supervisor.record(record.study_id)
        if request.study_id and await store.get(request.study_id) is not None:
            raise study_exists(request.study_id)
        return None

    async def _origin(self, request: pb.CreateStudyRequest) -> StudyRecord | None:
        """Return the study a request wants to be run again, or None.

        Raises:
            AssayError: INVALID_ARGUMENT/FIELD_INVALID, NOT_FOUND/STUDY_UNKNOWN.
        """
        if not request.rerun_of:
            return None
        refuse(id_violations(request))
        return await self._with.supervisor.record(request.rerun_of.removeprefix("studies/"))

    async def _examined(self, request: pb.CreateStudyRequest) -> _Examined:
        """Check a study and run a few of its points, which pins its data."""
        origin = await self._origin(request)
        given = request.spec if origin is None else study_pb2.StudySpec.FromString(origin.spec)
        spec = with_defaults(given, self._with.draw_seed())
        catalog = await self._with.backtests.catalog()
        # A rerun learns what the first run learnt, whatever became of the studies it was from.
        learns = spec.HasField("warm_start") and origin is None
        more = await self._earlier.violations(spec) if learns else ()
        try:
            check_request(request, spec, catalog, self._with.trial_limit, more)
        except AssayError as refused:
            raise await self._probes.with_all(refused, spec) from refused
        plan = await asyncio.to_thread(reachable_plan, spec, self._with.trial_limit)
        probes = await self._probes.probed(spec, plan)
        pin(spec, [one.response for one in probes])
        pin_counts(spec, plan, probes[0].response.bar_count)
        if plan.walk_forward is not None:
            sized = given.HasField("generation_size")
            plan = await self._windows.pinned(spec, plan, probes[0].request, sized=sized)
        if learns:
            await self._earlier.pin(spec)
        return _Examined(spec, plan, origin, probes)

    async def _priors(self, examined: _Examined) -> Sequence[Trial]:
        """Return the trials of others that a study begins with."""
        if not examined.spec.HasField("warm_start"):
            return ()
        if examined.origin is not None:
            return await self._with.store.priors(examined.origin.study_id)
        return await self._earlier.priors(examined.spec, examined.plan)

    async def _begun(
        self, request: pb.CreateStudyRequest, examined: _Examined, code_version: str
    ) -> StudyRecord:
        """Store a study, and have it begun by whichever replica has room."""
        record = StudyRecord(
            study_id=request.study_id or self._with.make_study_id(),
            request_id=request.request_id,
            request_digest=request_digest(request),
            state=StudyState.PENDING,
            spec=examined.spec.SerializeToString(deterministic=True),
            create_time_ms=self._with.clock.now_ms(),
            warnings=examined.warnings,
            code_version=code_version,
            limits=examined.limits,
            ledger_key=ledger_key_of(examined.spec),
            caller=caller_name.get(),
        )
        priors, limit = await self._priors(examined), self._with.caller_limit
        await self._with.store.create(record, examined.plan.shape, priors, limit)
        self._with.supervisor.wake()
        return record
