"""The windows of a walk forward: where they lie, and what their data are, written into its spec."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import study_pb2, walk_forward_pb2

from services.common.errors import AssayError, Violation, refuse
from services.optimizer.convert.probing import check_window
from services.optimizer.convert.walk_forward import interval_of, window_violations
from services.optimizer.convert.walk_forward_spans import (
    pin_span,
    put_span,
    span_of,
    unpinned_span,
)
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.search_checks import POPULATION_SEARCHES
from services.optimizer.core.walk_forward.rule import MOST_GENERATION, WalkForward
from services.optimizer.core.walk_forward.windows import windows_of
from services.optimizer.servicer.collaborators import Backtests

_AT_ONCE: Final = 4
"""Spans probed at once: enough to keep a few workers busy, too few to keep others waiting."""


class WindowPins:
    """Pins the windows of studies that walk forward."""

    def __init__(self, backtests: Backtests, trial_limit: int) -> None:
        self._backtests = backtests
        self._trial_limit = trial_limit

    async def pinned(
        self,
        spec: study_pb2.StudySpec,
        plan: StudyPlan,
        probe: backtest_service_pb2.RunBacktestBatchRequest,
        *,
        sized: bool,
    ) -> StudyPlan:
        """Write windows, their data and the generation size into a spec; return the whole plan.

        Args:
            spec: The spec, its own data pinned.
            plan: Its plan.
            probe: The trial run of its corner points.
            sized: Whether the caller has chosen the generation size.

        Raises:
            AssayError: FAILED_PRECONDITION/WINDOW_TOO_SHORT; INVALID_ARGUMENT/FIELD_INVALID, more
                windows or trials than can be; what workers say of a span.
        """
        rule, interval = plan.walk_forward, interval_of(spec.data[0])
        if rule is None or interval is None:
            raise ValueError("only candles are walked over")
        windows = windows_of(rule, interval, span_of(spec.data[0]))
        if spec.walk_forward.windows:
            refuse(window_violations(spec.walk_forward, windows))
        else:
            rule = replace(rule, windows=windows)
            if not sized:
                plan = _with_room(spec, plan, len(windows))
            plan = plan.over(rule)
            _write(spec, rule)
        self._check_size(plan)
        places = asyncio.Semaphore(_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for name, spans in _spans(spec.walk_forward).items():
                    group.create_task(self._pin(spec, probe, spans, name, places))
        except ExceptionGroup as failed:
            # One refusal is enough: the study cannot begin.
            raise failed.exceptions[0] from failed
        return plan

    def _check_size(self, plan: StudyPlan) -> None:
        count = plan.window_count
        inner, generation = plan.trial_count // count, plan.generation_size
        violations = []
        if plan.trial_count > self._trial_limit:
            told = (
                f"makes {count} windows of {inner:,} trials, {plan.trial_count:,} in all; at most "
                f"{self._trial_limit:,} are taken"
            )
            violations.append(Violation("spec.walk_forward", told))
        if generation > MOST_GENERATION:
            told = (
                f"is {generation // count:,} in each of {count} windows, {generation:,} in all; "
                f"at most {MOST_GENERATION:,} are taken"
            )
            violations.append(Violation("spec.generation_size", told))
        refuse(violations)

    async def _pin(
        self,
        spec: study_pb2.StudySpec,
        probe: backtest_service_pb2.RunBacktestBatchRequest,
        spans: Sequence[walk_forward_pb2.PinnedSpan],
        name: str,
        places: asyncio.Semaphore,
    ) -> None:
        """Pin equal spans by one call."""
        request = backtest_service_pb2.RunBacktestBatchRequest()
        request.CopyFrom(probe)
        request.execution.CopyFrom(spec.execution)
        put_span(request, spans[0])
        async with places:
            response = await self._backtests.run_batch(request)
        try:
            check_window(response)
        except AssayError as error:
            error.message = f"{name}: {error.message}"
            raise
        for span in spans:
            pin_span(span, response)


def _spans(
    walk: walk_forward_pb2.WalkForwardSpec,
) -> dict[str, list[walk_forward_pb2.PinnedSpan]]:
    """Return the spans of all windows by what the first of equal ones is called.

    The cells of a matrix have many in common.
    """
    names: dict[bytes, str] = {}
    found: dict[str, list[walk_forward_pb2.PinnedSpan]] = {}
    for window in walk.windows:
        for kind, span in (
            ("in-sample", window.in_sample),
            ("out-of-sample", window.out_of_sample),
        ):
            key = span.SerializeToString(deterministic=True)
            name = names.setdefault(key, f"{kind} span of window {window.number}")
            found.setdefault(name, []).append(span)
    return found


def _with_room(spec: study_pb2.StudySpec, plan: StudyPlan, window_count: int) -> StudyPlan:
    """Make the generation nobody has chosen small enough for all windows together."""
    if plan.search in POPULATION_SEARCHES:
        return plan
    spec.generation_size = min(spec.generation_size, max(MOST_GENERATION // window_count, 1))
    return replace(plan, generation_size=spec.generation_size)


def _write(spec: study_pb2.StudySpec, rule: WalkForward) -> None:
    for number, window in enumerate(rule.windows):
        spec.walk_forward.windows.add(
            number=number,
            in_sample=unpinned_span(spec.data[0], window.in_sample),
            out_of_sample=unpinned_span(spec.data[0], window.out_of_sample),
            cell_number=window.cell_number,
        )
