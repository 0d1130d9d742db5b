"""What resampling and cross-validation say of the best trial, as rows and words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from assay.optimizer.v1.resampling_pb2 import (
    BootstrapIntervals,
    CrossValidation,
    SuperiorAbilityTest,
)

from cli.figures import metric_value
from cli.output import emit, emit_table, grid

if TYPE_CHECKING:
    from assay.optimizer.v1.study_pb2 import LuckReport
    from rich.table import Table

REASONS = {
    "TOO_FEW_DAYS": "too few days",
    "NOTHING_DIFFERS": "no trial differs from it",
    "RUINED": "a day began without equity",
    "TOO_FEW_TRIALS": "too few trials",
    "TOO_FEW_TRAINING_DAYS": "purge and embargo leave too few days to choose by",
}

Row = tuple[str, str, str]

_NO_BENCHMARK = "NO_BENCHMARK"


def rows(luck: LuckReport) -> Iterator[Row]:
    """Yield the statistics, each with its value and what it says."""
    if luck.HasField("superior_ability"):
        tests = luck.superior_ability
        yield _of_test("p-value against cash", tests.cash)
        if tests.buy_and_hold.undefined_reason != _NO_BENCHMARK:
            yield _of_test("p-value against holding", tests.buy_and_hold)
    if luck.HasField("cross_validation"):
        yield from _of_paths(luck.cross_validation)


def show_intervals(found: BootstrapIntervals) -> None:
    """Print how far the best trial's statistics would scatter."""
    if found.intervals:
        emit_table(intervals(found))
    else:
        emit(f"no intervals: {_why(found.undefined_reason)}")


def intervals(found: BootstrapIntervals) -> Table:
    """Return the intervals, one a row."""
    columns = ("value", f"{found.confidence_ratio:.0%} from", "to")
    title = (
        f"drawn again {found.repetition_count:,} times in blocks of {found.block_day_count} days"
    )
    table = grid(("best trial by days", *columns), right=columns, title=title)
    for one in found.intervals:
        numbers = (one.value, one.lower, one.upper)
        table.add_row(one.name, *(metric_value(one.name, number) for number in numbers))
    return table


def _of_test(name: str, test: SuperiorAbilityTest) -> Row:
    if not test.HasField("consistent_p_value"):
        return name, "undefined", _why(test.undefined_reason)
    bounds = f"{test.lower_p_value:.3f} to {test.upper_p_value:.3f}"
    without = f"{test.compared_trial_count:,} such trials without an edge"
    return name, f"{test.consistent_p_value:.3f}", f"{bounds}; that as much comes of {without}"


def _of_paths(found: CrossValidation) -> Iterator[Row]:
    name, cut = "Sharpe ratio cross-validated", f"{found.test_group_count} of {found.group_count}"
    if not found.HasField("mean_path_sharpe_ratio"):
        yield name, "undefined", _why(found.undefined_reason)
        return
    learned = f"{found.mean_training_sharpe_ratio:.3f} over days chosen by"
    paths = f"mean of {found.path_count:,} paths over days not chosen by, tested {cut} groups"
    told = f"a year, {paths} at a time; {learned}"
    yield name, f"{found.mean_path_sharpe_ratio:.3f}", told
    best = f"to {found.highest_path_sharpe_ratio:.3f}, median {found.median_path_sharpe_ratio:.3f}"
    told = f"{best}, {found.losing_path_ratio:.0%} below 0"
    yield "- worst to best path", f"{found.lowest_path_sharpe_ratio:.3f}", told


def _why(reason: str) -> str:
    return REASONS.get(reason, reason.replace("_", " ").lower())
