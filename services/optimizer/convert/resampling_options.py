"""What resampling and cross-validation ask for: options of requests, and calls to the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from assay.backtest.v1 import backtest_service_pb2
from assay.market.v1 import candles_pb2
from assay.optimizer.v1 import resampling_pb2, study_pb2

from services.common.errors import Violation
from services.common.intervals import DAY_MS, Interval
from services.optimizer.convert.reports import buy_and_hold_request
from services.optimizer.convert.walk_forward import interval_of
from services.optimizer.core.analysis.luck.cross_validation import CrossValidationPlan
from services.optimizer.core.analysis.luck.day_blocks import DayBlocks

DEFAULT_GROUPS: Final = 10
DEFAULT_TEST_GROUPS: Final = 2
DEFAULT_PURGE_DAYS: Final = 1

FEWEST_GROUPS: Final = 3
MOST_GROUPS: Final = 16
MOST_SPLITS: Final = 5_000
MOST_DAYS_APART: Final = 10_000

_SETS_AT_ONCE: Final = 250
_NUMBERS_AT_ONCE: Final = 450_000
"""What the workers tell at once where daily returns are asked for."""

_LONGEST_MONTH_DAYS: Final = 31


def cross_validation_violations(
    options: resampling_pb2.CrossValidationOptions,
) -> Iterator[Violation]:
    """Yield what is wrong with the options."""
    path, groups = "cross_validation", _groups(options)
    if not FEWEST_GROUPS <= groups <= MOST_GROUPS:
        told = f"must be from {FEWEST_GROUPS} to {MOST_GROUPS}"
        yield Violation(f"{path}.group_count", told)
        groups = MOST_GROUPS
    tested = _test_groups(options, groups)
    if not 1 <= tested <= groups // 2:
        told = f"must be from 1 to half of the {groups} groups"
        yield Violation(f"{path}.test_group_count", told)
    elif (splits := _plan(options, groups, tested, 0).split_count) > MOST_SPLITS:
        told = f"makes {splits:,} choices of groups; {MOST_SPLITS:,} are the most"
        yield Violation(f"{path}.test_group_count", told)
    for name in ("purge_days", "embargo_days"):
        if not 0 <= getattr(options, name) <= MOST_DAYS_APART:
            yield Violation(f"{path}.{name}", f"must be from 0 to {MOST_DAYS_APART:,}")


def cross_validation_plan(
    options: resampling_pb2.CrossValidationOptions, spec: study_pb2.StudySpec
) -> CrossValidationPlan | None:
    """Return how to cross-validate a stored study by checked options; None: not at all."""
    if options.HasField("wanted") and not options.wanted:
        return None
    groups = _groups(options)
    return _plan(options, groups, _test_groups(options, groups), lookback_days(spec.data[0]))


def _plan(
    options: resampling_pb2.CrossValidationOptions, groups: int, tested: int, embargo_days: int
) -> CrossValidationPlan:
    purge = options.purge_days if options.HasField("purge_days") else DEFAULT_PURGE_DAYS
    embargo = options.embargo_days if options.HasField("embargo_days") else embargo_days
    return CrossValidationPlan(groups, tested, purge, embargo)


def _groups(options: resampling_pb2.CrossValidationOptions) -> int:
    return options.group_count if options.HasField("group_count") else DEFAULT_GROUPS


def _test_groups(options: resampling_pb2.CrossValidationOptions, groups: int) -> int:
    if options.HasField("test_group_count"):
        return options.test_group_count
    return min(DEFAULT_TEST_GROUPS, groups // 2)


def lookback_days(snapshot: candles_pb2.CandleSnapshot) -> int:
    """Return how far back the decisions of a study look, in whole days, rounded up."""
    interval = interval_of(snapshot)
    if interval is None or interval is Interval.MONTH_1:
        return snapshot.lookback_bar_count * _LONGEST_MONTH_DAYS
    return -(-snapshot.lookback_bar_count * interval.length_ms // DAY_MS)


def all_returns() -> backtest_service_pb2.ReturnStatisticsRequest:
    """Return the wish for daily returns, in blocks of no matter which length."""
    return backtest_service_pb2.ReturnStatisticsRequest(daily_returns=True)


def returns_by(blocks: DayBlocks) -> backtest_service_pb2.ReturnStatisticsRequest:
    """Return the wish for daily returns and for sums over blocks."""
    return backtest_service_pb2.ReturnStatisticsRequest(
        daily_returns=True, block_day_counts=blocks.lengths
    )


def sets_at_once(blocks: DayBlocks) -> int:
    """Return how many sets a call may have that tells daily returns and sums over blocks."""
    days = blocks.edges[-1]
    most = (_NUMBERS_AT_ONCE - days) // (days + 2 * len(blocks.lengths))
    return max(1, min(_SETS_AT_ONCE, most))


def holding_request(
    spec: study_pb2.StudySpec,
) -> backtest_service_pb2.RunBacktestBatchRequest:
    """Return the call that tells the daily returns of what a study is compared with."""
    alone = buy_and_hold_request(spec)
    return backtest_service_pb2.RunBacktestBatchRequest(
        snapshot=alone.snapshot,
        strategy=alone.strategy,
        execution=alone.execution,
        set_count=1,
        metrics=["trade_count"],
        return_statistics=all_returns(),
    )
