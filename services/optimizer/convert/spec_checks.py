"""What is wrong with the parts of a spec that go to the workers as they are.

Parameters, constraints, objectives and searches are the core's matter; here are data, the choice of
a strategy, and what only messages can get wrong: choices, durations, names. A definition and the
execution model are judged by the workers, who know their rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from assay.backtest.v1 import strategy_pb2
from assay.market.v1 import candles_pb2
from assay.optimizer.v1 import study_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import Violation
from services.common.frames_codec import ms_from_timestamp
from services.optimizer.convert.data_aggregation import data_violations
from services.optimizer.convert.durations import duration_violations
from services.optimizer.convert.limits import stop_rule_shape_violations
from services.optimizer.convert.requests import name_violations
from services.optimizer.convert.walk_forward import walk_forward_spec_violations
from services.optimizer.core.spec.data_aggregation import MOST_DATA
from services.optimizer.core.spec.draft_checks import MOST_OBJECTIVES

DATASET: Final = re.compile(r"datasets/[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
"""Names of datasets."""
STRATEGY: Final = re.compile(r"strategies/[a-z][a-z0-9_]{0,62}")
"""Names of strategies."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOST_LOOKBACK: Final = 1_000_000
_MOST_EARLIER_STUDIES: Final = 10
_MOST_PRIOR_TRIALS: Final = 10_000
_LEARNING: Final = ("bayesian", "cma_es", "evolutionary")
"""Searches to which trials of earlier studies mean something."""
_FIRST_SECOND: Final = -62_135_596_800
"""0001-01-01T00:00:00Z, the first time a Timestamp can hold."""
_LAST_SECOND: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, the last one."""


def spec_violations(spec: study_pb2.StudySpec) -> Iterator[Violation]:
    """Yield what is wrong with the parts of a spec that the core does not see."""
    yield from data_violations(spec)
    for index, snapshot in enumerate(spec.data[:MOST_DATA]):
        yield from _snapshot_violations(f"spec.data[{index}]", snapshot)
    yield from _strategy_violations(spec.strategy)
    if spec.strategy.direction not in strategy_pb2.Direction.values():
        yield _no_choice("spec.strategy.direction", spec.strategy.direction)
    for index, objective in enumerate(spec.objectives[:MOST_OBJECTIVES]):
        if objective.direction not in study_pb2.Objective.Direction.values():
            yield _no_choice(f"spec.objectives[{index}].direction", objective.direction)
    yield from _search_violations(spec)
    yield from stop_rule_shape_violations("spec.stop_rule", spec.stop_rule)
    if spec.HasField("trial_timeout"):
        yield from duration_violations("spec.trial_timeout", spec.trial_timeout)
    if spec.HasField("pruning") and spec.pruning.WhichOneof("rule") is None:
        told = "needs one of median, percentile or successive_halving"
        yield Violation("spec.pruning.rule", told)
    if spec.HasField("walk_forward"):
        yield from walk_forward_spec_violations(spec)
    if spec.HasField("warm_start"):
        yield from _warm_start_violations(spec, "spec.warm_start")


def _search_violations(spec: study_pb2.StudySpec) -> Iterator[Violation]:
    algorithm = spec.evolutionary.algorithm
    if algorithm not in study_pb2.EvolutionarySearch.Algorithm.values():
        yield _no_choice("spec.evolutionary.algorithm", algorithm)
    # The core takes 0 for every point; here somebody has said 0.
    if spec.brute_force.HasField("trial_count") and spec.brute_force.trial_count == 0:
        yield Violation("spec.brute_force.trial_count", "must be at least 1, but is 0")


def _warm_start_violations(spec: study_pb2.StudySpec, path: str) -> Iterator[Violation]:
    warm_start = spec.warm_start
    if spec.WhichOneof("search") not in {*_LEARNING, None}:
        yield Violation(path, f"is only for {', '.join(_LEARNING)}: other searches do not learn")
    count = len(warm_start.studies)
    if not 1 <= count <= _MOST_EARLIER_STUDIES:
        told = f"needs 1 to {_MOST_EARLIER_STUDIES} studies, but has {count}"
        yield Violation(f"{path}.studies", told)
    for index, name in enumerate(warm_start.studies[:_MOST_EARLIER_STUDIES]):
        yield from name_violations(f"{path}.studies[{index}]", name)
    if not 1 <= warm_start.trial_limit <= _MOST_PRIOR_TRIALS:
        told = f"must be 1 to {_MOST_PRIOR_TRIALS:,}, but is {warm_start.trial_limit}"
        yield Violation(f"{path}.trial_limit", told)
    digests = warm_start.trials_digests
    if digests and len(digests) != count:
        told = f"needs one digest per study, {count}, or none, but has {len(digests)}"
        yield Violation(f"{path}.trials_digests", told)
    for index, digest in enumerate(digests[:_MOST_EARLIER_STUDIES]):
        if not _DIGEST.fullmatch(digest):
            told = "must be 64 lower-case hexadecimal digits"
            yield Violation(f"{path}.trials_digests[{index}]", told)


def _strategy_violations(strategy: strategy_pb2.StrategyChoice) -> Iterator[Violation]:
    if strategy.HasField("definition"):
        if strategy.name:
            told = "is given beside a definition; exactly one of them must be"
            yield Violation("spec.strategy.name", told)
    elif not STRATEGY.fullmatch(strategy.name):
        yield Violation(
            "spec.strategy.name",
            f'must have the form "strategies/{{strategy}}", but is {strategy.name[:80]!r}',
        )


def _snapshot_violations(path: str, snapshot: candles_pb2.CandleSnapshot) -> Iterator[Violation]:
    if not DATASET.fullmatch(snapshot.dataset):
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


def _no_choice(path: str, number: int) -> Violation:
    return Violation(path, f"{number} is not one of the choices")
