"""How likely what a walk forward earned out of sample is luck, as tables and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.optimizer.v1.study_pb2 import BacktestOverfitting, LuckReport, WindowOverfitting

from cli import resampling_view
from cli.luck_view import VERDICTS
from cli.output import emit, emit_table, grid

if TYPE_CHECKING:
    from rich.table import Table


def show(luck: LuckReport) -> None:
    """Print the verdict on the stitched out-of-sample curve, its reasons and the numbers."""
    emit(f"verdict on the out-of-sample curve: {VERDICTS.get(luck.verdict, 'none')}")
    for warning in luck.warnings:
        emit(f"- {warning.message}")
    emit_table(numbers(luck))
    if luck.HasField("intervals"):
        resampling_view.show_intervals(luck.intervals)
    if luck.overfitting.windows:
        emit(f"probability of overfitting by window: {by_window(luck.overfitting)}")


def numbers(luck: LuckReport) -> Table:
    """Return the statistics, one a row, with what they say."""
    table = grid(("luck", "value", "which says"), right=("value",))
    for name, value, told in (
        *_of_sharpe(luck),
        *resampling_view.rows(luck),
        *_of_overfitting(luck.overfitting),
    ):
        table.add_row(name, value, told)
    return table


def _of_sharpe(luck: LuckReport) -> list[tuple[str, str, str]]:
    walks = "1 walk" if luck.walk_count == 1 else f"{luck.walk_count:,} walks"
    return [
        (
            "Sharpe ratio per day",
            _number(luck, "daily_sharpe_ratio", 4),
            f"over {luck.day_count:,} days out of sample",
        ),
        (
            "probabilistic Sharpe ratio",
            _number(luck, "probabilistic_sharpe_ratio"),
            "probability that it is above 0, had nothing else been tried",
        ),
        (
            "deflated by walks",
            _number(luck, "walk_deflated_sharpe_ratio"),
            f"the same, chosen from {walks}: leads the verdict",
        ),
        (
            "deflated by trials",
            _number(luck, "deflated_sharpe_ratio"),
            f"the same, had it been chosen from {luck.trial_count:,} trials: pessimistic",
        ),
        (
            "minimum track record",
            _number(luck, "min_track_record_days", 0),
            "days until such returns are believed at 95 %",
        ),
    ]


def _of_overfitting(found: BacktestOverfitting) -> list[tuple[str, str, str]]:
    tried = f"{found.trial_count:,} trials of {len(found.windows):,} windows"
    return [
        (
            "probability of overfitting",
            _number(found, "probability"),
            f"in sample, best in one half, not above the middle in the other; {tried}",
        ),
        ("probability of loss", _number(found, "loss_probability"), "in the other half"),
    ]


def by_window(found: BacktestOverfitting) -> str:
    """Return the probabilities of overfitting, window by window."""
    return ", ".join(
        f"{one.window_number}: {_number(one, 'probability', 2)}" for one in found.windows
    )


def _number(
    message: LuckReport | BacktestOverfitting | WindowOverfitting, name: str, places: int = 3
) -> str:
    if not message.HasField(name):  # type: ignore[arg-type]
        return "undefined"
    return f"{getattr(message, name):,.{places}f}"
