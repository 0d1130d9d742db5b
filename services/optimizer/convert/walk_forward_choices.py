"""What to choose of a walk forward's windows: the latest winner, and the middle of all of them."""

from __future__ import annotations

from assay.optimizer.v1 import recommendation_pb2 as pb
from assay.optimizer.v1 import walk_forward_pb2

from services.optimizer.convert.values import assignments, value_of
from services.optimizer.core.analysis.recommendation.choices import Absent, ChoiceKind
from services.optimizer.core.analysis.recommendation.stable_point import stable_point
from services.optimizer.core.spec.plan import StudyPlan

_STABLE = ChoiceKind.STABLE_PARAMETERS


def walk_forward_choices(
    plan: StudyPlan, report: walk_forward_pb2.WalkForwardReport
) -> tuple[list[pb.Choice], list[Absent]]:
    """Return the choices of a walk forward and the kinds there are none of."""
    won = [one for one in report.windows if one.winner]
    if not won:
        return [], []
    latest = won[-1]
    choices = [
        pb.Choice(
            kind=pb.Choice.KIND_LATEST_WINNER,
            trial=latest.winner,
            parameters=latest.parameters,
            objective_values=[latest.in_sample_value],
            metrics=latest.in_sample,
            reason=(
                f"The winner of window {latest.number}, the last one that has a winner. The walk "
                "forward has tested the search, not these parameters: before using any, search "
                "once more over the latest bars."
            ),
        )
    ]
    paths = {
        one.name: [value for value in map(value_of, one.values) if value is not None]
        for one in report.parameter_paths
    }
    point = stable_point(plan, paths)
    if point is None:
        told = "a constraint on parameters forbids the middle of the windows' winners"
        return choices, [Absent(_STABLE, told)]
    choices.append(
        pb.Choice(
            kind=pb.Choice.KIND_STABLE_PARAMETERS,
            parameters=assignments(point),
            reason=(
                f"The middle of {len(won):,} windows' winners, parameter by parameter. No "
                "backtest stands behind it."
            ),
        )
    )
    return choices, []
