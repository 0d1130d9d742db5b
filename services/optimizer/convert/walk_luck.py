"""The statistics of luck of a walk forward as a message."""

from __future__ import annotations

from collections.abc import Sequence

from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.report_parts import variance_of
from services.optimizer.convert.resampling import add_resampling
from services.optimizer.convert.walk_forward_report import CellWalk
from services.optimizer.core.analysis.luck.intervals import intervals
from services.optimizer.core.analysis.luck.resampling import Bootstrap
from services.optimizer.core.analysis.luck.superior_ability import against_cash
from services.optimizer.core.analysis.luck.walk import (
    WalkEvidence,
    WalkLuck,
    WindowTrials,
    track_record,
    walk_luck_of,
)
from services.optimizer.core.analysis.luck.walk_verdict import walk_verdict, walk_warnings
from services.optimizer.core.analysis.trial_order import parameters_at_edge
from services.optimizer.core.records import LedgerEntry
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.walk_forward.stitching import stitched_daily_returns


def walk_luck(
    plan: StudyPlan,
    walk: CellWalk,
    windows: Sequence[WindowTrials],
    ledger: LedgerEntry,
    bootstrap: Bootstrap,
    *,
    plateau: bool | None,
) -> WalkLuck:
    """Return how likely what a walk earned is luck.

    Args:
        plan: The plan of the study.
        walk: The walk, with at least one winner.
        windows: What the trials of its windows say.
        ledger: All that was ever tried on the same dataset with the same strategy.
        bootstrap: Draws the days of the curve again.
        plateau: Whether it and the cells beside it pass; None without such cells.
    """
    returns = stitched_daily_returns(
        walk.evidence, walk.initial_capital_quote, compounded=walk.rule.compounded
    )
    won = [one.winner for one in walk.evidence if one.winner is not None]
    runs = [one.out_of_sample for one in walk.evidence if one.out_of_sample is not None]
    edges = [name for winner in won for name in parameters_at_edge(plan, winner)]
    cells = 1 if plan.walk_forward is None else len(plan.walk_forward.cells)
    return walk_luck_of(
        WalkEvidence(
            record=None if returns is None else track_record(returns),
            day_count=0 if returns is None else len(returns),
            trade_count=sum(run.trade_count for run in runs),
            trial_count=ledger.evaluated_trial_count,
            trial_variance=variance_of(ledger),
            # How many walks the other studies made is not kept: each counts as one.
            walk_count=cells + max(ledger.study_count - 1, 0),
            windows=windows,
            passed=walk.passed,
            overlapping=walk.rule.overlapping,
            plateau=plateau,
            superior_ability=None if returns is None else against_cash(returns, bootstrap),
            intervals=None if returns is None else intervals(returns, len(returns), bootstrap),
            at_edge=[
                one.name for one in plan.space.searched if 2 * edges.count(one.name) >= len(won)
            ],
        )
    )


def walk_luck_message(luck: WalkLuck) -> study_pb2.LuckReport:
    """Return the statistics as a message."""
    evidence = luck.evidence
    message = study_pb2.LuckReport(
        verdict=study_pb2.LuckReport.Verdict.ValueType(walk_verdict(luck).value),
        warnings=[
            study_pb2.LuckWarning(
                kind=study_pb2.LuckWarning.Kind.ValueType(one.kind.value), message=one.message
            )
            for one in walk_warnings(luck)
        ],
        day_count=evidence.day_count,
        daily_sharpe_ratio=None if evidence.record is None else evidence.record.sharpe,
        probabilistic_sharpe_ratio=luck.probabilistic,
        min_track_record_days=luck.min_days,
        trial_count=evidence.trial_count,
        trial_correlation=luck.correlation,
        effective_trial_count=luck.effective_count,
        trial_sharpe_variance=evidence.trial_variance,
        expected_max_sharpe_ratio=luck.expected_max,
        deflated_sharpe_ratio=luck.deflated,
        effective_expected_max_sharpe_ratio=luck.effective_expected_max,
        effective_deflated_sharpe_ratio=luck.effective_deflated,
        overfitting=_overfitting_message(luck),
        trade_count=evidence.trade_count,
        walk_count=evidence.walk_count,
        walk_expected_max_sharpe_ratio=luck.walk_expected_max,
        walk_deflated_sharpe_ratio=luck.walk_deflated,
    )
    add_resampling(message, evidence)
    return message


def _overfitting_message(luck: WalkLuck) -> study_pb2.BacktestOverfitting:
    windows = luck.evidence.windows
    return study_pb2.BacktestOverfitting(
        trial_count=sum(one.trial_count for one in windows),
        complete_trial_count=sum(one.complete_count for one in windows),
        block_count=max((one.block_count for one in windows), default=0),
        combination_count=sum(
            one.overfitting.combination_count for one in windows if one.overfitting is not None
        ),
        probability=luck.overfitting_probability,
        loss_probability=luck.loss_probability,
        windows=map(_window_message, windows),
    )


def _window_message(one: WindowTrials) -> study_pb2.WindowOverfitting:
    found = one.overfitting
    return study_pb2.WindowOverfitting(
        window_number=one.window_number,
        trial_count=one.trial_count,
        complete_trial_count=one.complete_count,
        block_day_count=one.block_day_count,
        probability=None if found is None else found.probability,
        loss_probability=None if found is None else found.loss_probability,
    )
