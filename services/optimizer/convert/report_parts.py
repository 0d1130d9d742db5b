"""The parts of a report as messages: importance, interactions, trade-offs, the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.studies import MOST_BEST_TRIALS, trial_name
from services.optimizer.convert.values import value_message
from services.optimizer.core.analysis.freezing import FreezeSuggestion
from services.optimizer.core.analysis.importance import Importance
from services.optimizer.core.analysis.interactions import Interaction
from services.optimizer.core.analysis.luck.choosing import sharpe_variance
from services.optimizer.core.analysis.luck.sharpe import Tried
from services.optimizer.core.analysis.pareto import TradeOffs
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import LedgerEntry


def importance_message(importance: Importance) -> study_pb2.ParameterImportance:
    """Return how much parameters matter as a message."""
    return study_pb2.ParameterImportance(
        metric=importance.metric,
        evaluator=importance.evaluator.value,
        shares=[
            study_pb2.ParameterShare(
                name=share.name,
                share_ratio=share.share_ratio,
                baseline_share_ratio=share.baseline_share_ratio,
                significant=share.significant,
            )
            for share in importance.shares
        ],
        undefined_reason=importance.undefined_reason,
    )


def interaction_message(interaction: Interaction) -> study_pb2.ParameterInteraction:
    """Return how two parameters act together as a message."""
    return study_pb2.ParameterInteraction(
        first_name=interaction.first_name,
        second_name=interaction.second_name,
        first_cells=interaction.first_cells,
        second_cells=interaction.second_cells,
        trial_counts=interaction.trial_counts,
        mean_values=interaction.mean_values,
        best_values=interaction.best_values,
    )


def freeze_message(suggestion: FreezeSuggestion) -> study_pb2.FreezeSuggestion:
    """Return what can be fixed as a message."""
    return study_pb2.FreezeSuggestion(
        name=suggestion.name,
        value=value_message(suggestion.value),
        objective_cost=suggestion.objective_cost,
        near_trial_count=suggestion.near_trial_count,
    )


def pareto_message(
    study_id: str,
    found: TradeOffs,
    reference_point: npt.NDArray[np.float64],
    hypervolume_history: Sequence[float],
) -> study_pb2.ParetoAnalysis:
    """Return trade-offs as a message, those of the first trials of the front."""
    return study_pb2.ParetoAnalysis(
        trade_offs=[
            study_pb2.TradeOff(
                trial=trial_name(study_id, int(number)),
                objective_values=values.tolist(),
                ranks=ranks.tolist(),
                regret_ratios=regrets.tolist(),
            )
            for number, values, ranks, regrets in zip(
                found.numbers[:MOST_BEST_TRIALS],
                found.objective_values,
                found.ranks,
                found.regret_ratios,
                strict=False,
            )
        ],
        knee_trial="" if found.knee is None else trial_name(study_id, found.knee),
        best_rank_trial="" if found.best_rank is None else trial_name(study_id, found.best_rank),
        hypervolume_history=hypervolume_history,
        reference_point=reference_point.tolist(),
    )


def ledger_message(entry: LedgerEntry) -> study_pb2.LedgerEntry:
    """Return what was ever tried as a message; mean and variance of its sums, rounded once."""
    message = study_pb2.LedgerEntry(
        dataset=entry.key.dataset,
        strategy=entry.key.strategy,
        study_count=entry.study_count,
        trial_count=entry.trial_count,
        evaluated_trial_count=entry.evaluated_trial_count,
        sharpe_trial_count=entry.sharpe_trial_count,
    )
    if entry.sharpe_trial_count > 0:
        message.mean_daily_sharpe_ratio = float(
            Fraction(entry.sharpe_sum) / entry.sharpe_trial_count
        )
    variance = variance_of(entry)
    if variance is not None:
        message.daily_sharpe_variance = variance
    return message


def tried_in(table: TrialTable, ledger: LedgerEntry) -> Tried:
    """Return how much luck the best of a study may hold.

    As many trials as the ledger has, which scatter as those of the study do: studies over other
    lengths of time scatter otherwise. With fewer than two trials of its own as those of the ledger.
    """
    own = sharpe_variance(table)
    return Tried(ledger.evaluated_trial_count, variance_of(ledger) if own is None else own)


def variance_of(entry: LedgerEntry) -> float | None:
    """Return the variance of the Sharpe ratios per day of trials; None for fewer than two."""
    count = entry.sharpe_trial_count
    if count < 2:
        return None
    total, squares = Fraction(entry.sharpe_sum), Fraction(entry.sharpe_square_sum)
    # The sums are rounded, so that equal values may seem to vary by less than nothing.
    return max(0.0, float((squares - total * total / count) / (count - 1)))
