"""What is wrong with the parts of a spec that go to the workers as they are.

Parameters, constraints, objectives and searches are the core's matter; here are data, strategy and
execution model, so that one answer names everything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from assay.backtest.v1 import execution_pb2, strategy_pb2
from assay.market.v1 import candles_pb2
from assay.optimizer.v1 import study_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import Violation
from services.common.frames_codec import ms_from_timestamp
from services.optimizer.core.draft_checks import MOST_OBJECTIVES

_DATASET: Final = re.compile(r"datasets/[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_STRATEGY: Final = re.compile(r"strategies/[a-z][a-z0-9_]{0,62}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOST_LOOKBACK: Final = 1_000_000
_FIRST_SECOND: Final = -62_135_596_800
"""0001-01-01T00:00:00Z, the first time a Timestamp can hold."""
_LAST_SECOND: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, the last one."""


def spec_violations(spec: study_pb2.StudySpec) -> Iterator[Violation]:
    """Yield what is wrong with data, strategy, execution model and enum fields of a spec."""
    if len(spec.data) != 1:
        yield Violation("spec.data", f"needs exactly one snapshot, but has {len(spec.data)}")
    for index, snapshot in enumerate(spec.data[:1]):
        yield from _snapshot_violations(f"spec.data[{index}]", snapshot)
    if not _STRATEGY.fullmatch(spec.strategy.name):
        yield Violation(
            "spec.strategy.name",
            f'must have the form "strategies/{{strategy}}", but is {spec.strategy.name!r}',
        )
    if spec.strategy.direction not in strategy_pb2.Direction.values():
        yield _no_choice("spec.strategy.direction", spec.strategy.direction)
    yield from _execution_violations(spec.execution)
    for index, objective in enumerate(spec.objectives[:MOST_OBJECTIVES]):
        if objective.direction not in study_pb2.Objective.Direction.values():
            yield _no_choice(f"spec.objectives[{index}].direction", objective.direction)


def _snapshot_violations(path: str, snapshot: candles_pb2.CandleSnapshot) -> Iterator[Violation]:
    if not _DATASET.fullmatch(snapshot.dataset):
        yield Violation(
            f"{path}.dataset",
            f'must have the form "datasets/{{dataset}}", but is {snapshot.dataset!r}',
        )
    yield from _window_violations(f"{path}.window", snapshot.window)
    if not 0 <= snapshot.lookback_bar_count <= _MOST_LOOKBACK:
        yield Violation(f"{path}.lookback_bar_count", f"must be 0 to {_MOST_LOOKBACK:,}")
    if snapshot.content_digest and not _DIGEST.fullmatch(snapshot.content_digest):
        yield Violation(f"{path}.content_digest", "must be 64 lower-case hexadecimal digits")


def _window_violations(path: str, window: candles_pb2.TimeWindow) -> Iterator[Violation]:
    found = [
        *_time_violations(f"{path}.start_time", window.start_time),
        *_time_violations(f"{path}.end_time", window.end_time),
    ]
    yield from found
    both = window.HasField("start_time") and window.HasField("end_time")
    if both and not found:
        start_ms, end_ms = map(ms_from_timestamp, (window.start_time, window.end_time))
        if end_ms <= start_ms:
            yield Violation(f"{path}.end_time", "must be later than start_time")


def _time_violations(path: str, time: Timestamp) -> Iterator[Violation]:
    if not _FIRST_SECOND <= time.seconds <= _LAST_SECOND or not 0 <= time.nanos < 10**9:
        yield Violation(path, "is not a time")
    elif time.nanos % 1_000_000:
        yield Violation(path, "must be in whole milliseconds")


_LIMITS: Final = {
    "initial_capital_quote": ("above 0 and at most 1e12", lambda x: 0 < x <= 1e12),
    "taker_fee_bps": ("0 to 1,000", lambda x: 0 <= x <= 1_000),
    "take_profit_fee_bps": ("-100 to 1,000", lambda x: -100 <= x <= 1_000),
    "slippage_bps": ("0 to 1,000", lambda x: 0 <= x <= 1_000),
    "position_fraction_ratio": ("above 0 and at most 1", lambda x: 0 < x <= 1),
    "stop_loss_ratio": ("above 0 and below 1", lambda x: 0 < x < 1),
    "take_profit_ratio": ("above 0 and at most 100", lambda x: 0 < x <= 100),
    "trailing_stop_ratio": ("above 0 and below 1", lambda x: 0 < x < 1),
    "trailing_activation_ratio": ("0 to 100", lambda x: 0 <= x <= 100),
}
"""Limits of the numbers of ExecutionModel, as its comments state them."""


def _execution_violations(model: execution_pb2.ExecutionModel) -> Iterator[Violation]:
    for field, value in model.ListFields():
        wanted, allowed = _LIMITS.get(field.name, ("", lambda _: True))
        if not (math.isfinite(value) and allowed(value)):
            yield Violation(f"spec.execution.{field.name}", f"must be {wanted}, but is {value}")
    if model.intrabar_policy not in execution_pb2.ExecutionModel.IntrabarPolicy.values():
        yield _no_choice("spec.execution.intrabar_policy", model.intrabar_policy)
    if model.target_fill not in execution_pb2.ExecutionModel.TargetFill.values():
        yield _no_choice("spec.execution.target_fill", model.target_fill)


def _no_choice(path: str, number: int) -> Violation:
    return Violation(path, f"{number} is not one of the choices")
