"""How the best trial stands up to worse conditions, as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.backtest.v1.stress_pb2 import StressDistribution, StressUndefinedReason
from assay.optimizer.v1.stress_pb2 import StressedRun, StressReport

from cli.figures import metric_value
from cli.output import emit, emit_table, grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

_PREFIX = "STRESS_UNDEFINED_REASON_"


def show(stress: StressReport, objective: str) -> None:
    """Print what speaks against the trial, then the numbers; `objective` is its name."""
    for warning in stress.warnings:
        emit(f"- {warning.message}")
    emit_table(runs(stress, objective))
    for line in chances(stress, objective):
        emit(line)


def runs(stress: StressReport, objective: str) -> Table:
    """Return the runs under stress, one a row, the trial itself first."""
    columns = ("total return", objective, "kept")
    table = grid(("stress", *columns), right=columns)
    table.add_row(
        "none",
        metric_value("total_return_ratio", stress.total_return_ratio),
        metric_value(objective, stress.objective_value),
        "",
    )
    for one in stress.costs:
        table.add_row(f"costs x {one.cost_factor:g}", *_of_run(one, objective))
    if stress.HasField("delay"):
        bars = stress.delay.delay_bars
        late = f"{bars} {'bar' if bars == 1 else 'bars'} late"
        table.add_row(late, *_of_run(stress.delay, objective))
    if stress.HasField("noise"):
        noise = stress.noise
        table.add_row(
            f"noise of {noise.noise_ratio:.2%}, median",
            _median(noise.total_return_ratio, "total_return_ratio"),
            _median(noise.objective, objective),
            f"{noise.median_kept_ratio:.0%}" if noise.HasField("median_kept_ratio") else "-",
        )
    return table


def chances(stress: StressReport, objective: str) -> Iterator[str]:
    """Yield what many variants came to, a line each."""
    noise = stress.noise.total_return_ratio
    if noise.HasField("positive_ratio"):
        yield (
            f"noise: {noise.positive_ratio:.0%} of {noise.defined_count:,} runs have a profit, "
            f"the worst earns {noise.minimum:.1%}"
        )
    if stress.HasField("drops"):
        drops = stress.drops
        told = drops.total_return_ratio
        yield f"{drops.drop_probability:.0%} of the trades left out: " + (
            _undefined(drops.undefined_reason)
            or f"95 % of {drops.variant_count:,} choices earn {told.quantile_05:.1%} or more, the "
            f"worst {told.minimum:.1%}"
        )
    if stress.HasField("entry_permutation"):
        found = stress.entry_permutation
        yield "random entries: " + (
            _undefined(found.undefined_reason)
            or f"p = {found.p_value:.3f} over {found.variant_count:,} placements of the same "
            f"{found.trade_count:,} trades, whose median earns "
            f"{found.total_return_ratio.median:.1%}"
        )
    if stress.HasField("bar_permutation"):
        bars = stress.bar_permutation
        median = _median(bars.objective, objective)
        yield (
            f"permuted bars: p = {bars.p_value:.3f} over {bars.variant_count:,} searches of "
            f"{bars.trial_count:,} trials; the median of their best {objective} is {median}"
        )


def _of_run(run: StressedRun, objective: str) -> tuple[str, str, str]:
    if run.undefined_reason:
        return _undefined(run.undefined_reason), "-", "-"
    value = "-"
    if run.HasField("objective_value"):
        value = metric_value(objective, run.objective_value)
    kept = f"{run.objective_kept_ratio:.0%}" if run.HasField("objective_kept_ratio") else "-"
    return metric_value("total_return_ratio", run.metrics.total_return_ratio), value, kept


def _median(found: StressDistribution, name: str) -> str:
    return metric_value(name, found.median) if found.HasField("median") else "-"


def _undefined(reason: StressUndefinedReason.ValueType) -> str:
    """Return a reason in words; nothing where there is none."""
    if not reason:
        return ""
    words = StressUndefinedReason.Name(reason).removeprefix(_PREFIX).replace("_", " ").lower()
    return f"undefined ({words})"
