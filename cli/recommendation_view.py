"""What to do with a study's result: the verdict in words, what is recommended, the choices."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from assay.optimizer.v1.recommendation_pb2 import Choice, ChoiceEvidence, Recommendation
from assay.optimizer.v1.study_pb2 import StudyReport, StudySpec

from cli.figures import metric, metric_value, parameters
from cli.output import emit, emit_table, grid

if TYPE_CHECKING:
    from rich.table import Table

VERDICTS: Final = {
    Recommendation.VERDICT_NOT_RECOMMENDED: "NOT RECOMMENDED",
    Recommendation.VERDICT_CAUTION: "CAUTION",
    Recommendation.VERDICT_REASONABLE: "REASONABLE",
}

KINDS: Final = {
    Choice.KIND_BEST_OBJECTIVE: "best objective",
    Choice.KIND_BEST_NEIGHBORHOOD: "best neighbourhood",
    Choice.KIND_CONSERVATIVE: "conservative",
    Choice.KIND_BALANCED: "balanced",
    Choice.KIND_AGGRESSIVE: "aggressive",
    Choice.KIND_KNEE: "knee of the front",
    Choice.KIND_BEST_RANK: "best sum of ranks",
    Choice.KIND_EXTREME: "extreme",
    Choice.KIND_LATEST_WINNER: "latest winner",
    Choice.KIND_STABLE_PARAMETERS: "stable parameters",
}

_WIDTH: Final = 100
_NUMBERS: Final = ("trial", "return", "drawdown", "return / drawdown", "trades")
_SURE: Final = ("neighbours keep", "PSR", "DSR")


def show(report: StudyReport) -> None:
    """Print the verdict, what is recommended and the choices, where the report tells them."""
    if not report.HasField("recommendation"):
        return
    told = report.recommendation
    emit(f"recommendation: {VERDICTS.get(told.verdict, 'none')}")
    emit(textwrap.fill(told.text, _WIDTH))
    for choice in told.choices:
        if told.recommended and choice.kind == told.recommended:
            emit(f"recommended parameters: {parameters(choice.parameters)} ({name_of(choice)})")
            break
    if told.choices:
        emit_table(choices(told, report.study.spec))
        for choice in told.choices:
            emit(f"- {name_of(choice)}: {choice.reason}")
    for absent in told.absent_choices:
        emit(f"- {KINDS.get(absent.kind, '')}: none. {absent.reason}")


def choices(told: Recommendation, spec: StudySpec) -> Table:
    """Return a row per choice with what speaks for it."""
    objectives = [item.metric for item in spec.objectives]
    numbers = (*_NUMBERS[:1], *objectives, *_NUMBERS[1:], *_SURE)
    table = grid(("choice", *numbers, "parameters"), right=numbers, title="choices")
    for choice in told.choices:
        evidence = choice.evidence
        pairs = zip(objectives, choice.objective_values, strict=False)
        values = [metric_value(name, value) for name, value in pairs]
        table.add_row(
            name_of(choice),
            choice.trial.rpartition("/")[2],
            *(values or ["-"] * len(objectives)),
            *_money(choice),
            _kept(evidence),
            _number(evidence, "probabilistic_sharpe_ratio"),
            _number(evidence, "deflated_sharpe_ratio"),
            parameters(choice.parameters),
        )
    return table


def name_of(choice: Choice) -> str:
    """Return what a choice is called, and which others it is."""
    name = KINDS.get(choice.kind, "")
    if choice.objective:
        name = f"{name} in {choice.objective}"
    others = ", ".join(KINDS.get(kind, "") for kind in choice.same_as)
    return f"{name} = {others}" if others else name


def _money(choice: Choice) -> list[str]:
    earned, fallen, trades = (
        metric(choice.metrics, name)
        for name in ("total_return_ratio", "max_drawdown_ratio", "trade_count")
    )
    return [earned, fallen, _number(choice.evidence, "return_over_drawdown_ratio"), trades]


def _kept(evidence: ChoiceEvidence) -> str:
    near = evidence.neighborhood
    return f"{near.median_kept_ratio:.0%}" if near.HasField("median_kept_ratio") else "-"


def _number(evidence: ChoiceEvidence, name: str) -> str:
    return f"{getattr(evidence, name):,.3f}" if evidence.HasField(name) else "-"  # type: ignore[arg-type]
