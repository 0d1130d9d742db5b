"""How likely the best trial is luck, as tables and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.optimizer.v1.study_pb2 import BacktestOverfitting, LuckReport, Neighborhood

from cli import resampling_view
from cli.figures import metric_value
from cli.output import emit, emit_table, grid

if TYPE_CHECKING:
    from rich.table import Table

VERDICTS = {
    LuckReport.VERDICT_LIKELY_LUCK: "LIKELY LUCK: not told from the best of as many blind tries",
    LuckReport.VERDICT_INCONCLUSIVE: "INCONCLUSIVE: neither shown to be luck nor to be more",
    LuckReport.VERDICT_PROMISING: "PROMISING: better than luck explains; test it on other data",
}


def show(luck: LuckReport, objective: str) -> None:
    """Print the verdict, its reasons and the numbers; `objective` is the objective's name."""
    emit(f"verdict: {VERDICTS.get(luck.verdict, 'none')}")
    for warning in luck.warnings:
        emit(f"- {warning.message}")
    emit_table(numbers(luck))
    if luck.HasField("intervals"):
        resampling_view.show_intervals(luck.intervals)
    if luck.HasField("neighborhood"):
        emit(around(luck.neighborhood, objective))


def numbers(luck: LuckReport) -> Table:
    """Return the statistics, one a row, with what they say."""
    table = grid(("luck", "value", "which says"), right=("value",))
    resampled = resampling_view.rows(luck)
    for name, value, told in (*_of_sharpe(luck), *_of_overfitting(luck.overfitting), *resampled):
        table.add_row(name, value, told)
    return table


def around(near: Neighborhood, objective: str) -> str:
    """Return what becomes of the objective when parameters change a little."""
    if not near.defined_neighbor_count:
        return f"neighbours: none of {near.neighbor_count:,} has a {objective}"
    told = []
    for name in ("median", "mean", "worst"):
        text = f"{name} {metric_value(objective, getattr(near, f'{name}_value'))}"
        if near.HasField(f"{name}_kept_ratio"):  # type: ignore[arg-type]
            text += f" ({getattr(near, f'{name}_kept_ratio'):.0%} kept)"
        told.append(text)
    return (
        f"{objective} of {near.neighbor_count:,} neighbours, the best trial's being "
        f"{metric_value(objective, near.best_value)}: {', '.join(told)}"
    )


def _of_sharpe(luck: LuckReport) -> list[tuple[str, str, str]]:
    trials, days = f"{luck.trial_count:,} trials", f"over {luck.day_count:,} days"
    few = "-"
    if luck.HasField("effective_trial_count"):
        few = f"as many as {luck.effective_trial_count:,.1f} independent ones"
    return [
        ("Sharpe ratio per day", _number(luck, "daily_sharpe_ratio", 4), days),
        (
            "probabilistic Sharpe ratio",
            _number(luck, "probabilistic_sharpe_ratio"),
            "probability that it is above 0, had nothing else been tried",
        ),
        (
            "deflated Sharpe ratio",
            _number(luck, "deflated_sharpe_ratio"),
            f"the same after {trials}",
        ),
        ("- if correlated", _number(luck, "effective_deflated_sharpe_ratio"), few),
        (
            "best Sharpe ratio by chance",
            _number(luck, "expected_max_sharpe_ratio", 4),
            f"per day, expected of {trials} without an edge",
        ),
        (
            "minimum track record",
            _number(luck, "min_track_record_days", 0),
            "days until such returns are believed at 95 %",
        ),
    ]


def _of_overfitting(found: BacktestOverfitting) -> list[tuple[str, str, str]]:
    return [
        (
            "probability of overfitting",
            _number(found, "probability"),
            f"best in one half, not above the middle in the other; {found.trial_count:,} trials",
        ),
        ("probability of loss", _number(found, "loss_probability"), "in the other half"),
        ("degradation", _number(found, "degradation_slope"), "slope of Sharpe ratios over halves"),
    ]


def _number(message: LuckReport | BacktestOverfitting, name: str, places: int = 3) -> str:
    if not message.HasField(name):  # type: ignore[arg-type]
        return "undefined"
    return f"{getattr(message, name):,.{places}f}"
