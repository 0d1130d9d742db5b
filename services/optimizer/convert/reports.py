"""The report of a study, and the backtest it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from assay.backtest.v1 import backtest_service_pb2, metrics_pb2, strategy_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.studies import MOST_BEST_TRIALS, trial_message
from services.optimizer.core.objectives import best_first
from services.optimizer.core.plan import StudyPlan
from services.optimizer.core.tally import tally_of
from services.optimizer.core.trial import Trial
from services.optimizer.core.trial_order import parameters_at_edge

EVALUATOR = "PED-ANOVA"

_NOT_COMPARED: Final = (
    "stop_loss_ratio",
    "take_profit_ratio",
    "trailing_stop_ratio",
    "trailing_activation_ratio",
    "position_fraction_ratio",
    "position_quote",
    "position_quantity_base",
    "risk_per_trade_ratio",
    "volatility_target_ratio",
    "volatility_period_bars",
    "size_on_initial_capital",
    "max_entry_count",
    "leverage",
    "risk_tiers",
    "liquidation_fee_bps",
    "detail",
)
"""What buy-and-hold does without: exits, sizes, leverage. Costs, funding among them, it pays."""


class ImportanceLike(Protocol):
    """How much each parameter matters for one objective."""

    @property
    def metric(self) -> str:
        """The objective's metric."""

    @property
    def shares(self) -> Sequence[tuple[str, float]]:
        """Parameters with their shares, by falling importance; empty where undefined."""

    @property
    def undefined_reason(self) -> str:
        """Why there are no shares; else empty."""


def buy_and_hold_request(spec: study_pb2.StudySpec) -> backtest_service_pb2.RunBacktestRequest:
    """Return the backtest a study is compared with: all in, long, same costs, same candles."""
    request = backtest_service_pb2.RunBacktestRequest(
        snapshot=spec.data[0],
        strategy=strategy_pb2.StrategyChoice(
            name="strategies/buy_and_hold", direction=strategy_pb2.DIRECTION_LONG
        ),
        execution=spec.execution,
    )
    for name in _NOT_COMPARED:
        request.execution.ClearField(name)
    return request


def report_message(
    study: study_pb2.Study,
    plan: StudyPlan,
    trials: Sequence[Trial],
    buy_and_hold: metrics_pb2.Metrics,
    importances: Sequence[ImportanceLike],
) -> study_pb2.StudyReport:
    """Return the report of a study with these trials."""
    study_id = study.name.removeprefix("studies/")
    best = best_first(trials, plan.objectives)
    alone = len(plan.objectives) == 1
    return study_pb2.StudyReport(
        study=study,
        best_trials=[trial_message(study_id, trial) for trial in best[:MOST_BEST_TRIALS]],
        buy_and_hold=buy_and_hold,
        importances=map(_importance_message, importances),
        parameters_at_edge=parameters_at_edge(plan, best[0]) if best and alone else (),
        best_value_history=tally_of(trials, plan).history,
    )


def _importance_message(importance: ImportanceLike) -> study_pb2.ParameterImportance:
    return study_pb2.ParameterImportance(
        metric=importance.metric,
        evaluator=EVALUATOR,
        shares=[
            study_pb2.ParameterShare(name=name, share_ratio=share)
            for name, share in importance.shares
        ],
        undefined_reason=importance.undefined_reason,
    )
