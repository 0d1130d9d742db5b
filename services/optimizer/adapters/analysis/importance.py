"""How much each searched parameter matters, and how much of that chance alone could give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution

from services.optimizer.adapters.analysis.fanova import Fanova
from services.optimizer.adapters.analysis.ped_anova import PedAnova, best_tenth
from services.optimizer.adapters.optuna_terms import distribution_of
from services.optimizer.core.analysis.importance import Evaluator, Importance, Share
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import StudyShape
from services.optimizer.core.searches.seeds import draw
from services.optimizer.core.trial import TrialState

FEWEST_TRIALS: Final = 20
"""The best tenth of fewer trials is a single one."""

MOST_FANOVA_TRIALS: Final = 2_000

PERMUTATIONS: Final = 50
"""How often chance is tried."""

_CHANCE_TREES: Final = 16
"""Trees of f-ANOVA's forest at each try of chance, since a whole forest takes up to seconds. Fewer
trees tell the same on average and scatter a little more, which raises the baseline if anything."""

_BASELINE_QUANTILE: Final = 0.95

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Unnormalised importances, and those of chance: trial i with the objective of order[i]."""

    own: Floats
    by_chance: Callable[[npt.NDArray[np.intp]], Floats]


def importances(
    shape: StudyShape, table: TrialTable, study_seed: int, evaluator: Evaluator
) -> list[Importance]:
    """Return one entry per objective; the same for the same trials and seed. Blocks.

    Complete trials count, for f-ANOVA at most 2,000 of them, evenly spaced. Parameters with one
    possible value cannot matter and are left out.
    """
    complete = np.flatnonzero(table.states == TrialState.COMPLETE.value)
    count = len(complete)
    if evaluator is Evaluator.F_ANOVA and count > MOST_FANOVA_TRIALS:
        complete = complete[np.arange(MOST_FANOVA_TRIALS) * count // MOST_FANOVA_TRIALS]
    varied = {
        one.name: distribution
        for one in shape.searched
        if not (distribution := distribution_of(one)).single()
    }
    columns = {name: table.parameters[name][complete] for name in varied}
    found = []
    for place, (metric, maximize) in enumerate(
        zip(shape.metric_names, shape.maximize, strict=True)
    ):
        values = table.objective_values[complete, place]
        reason = _undefined_reason(values, len(varied), evaluator, maximize=maximize)
        shares: tuple[Share, ...] = ()
        if not reason:
            judged = _judged(columns, varied, values, evaluator, study_seed, maximize=maximize)
            shares = _shares(tuple(varied), judged, len(values), study_seed)
        found.append(Importance(metric, evaluator, shares, reason))
    return found


def _undefined_reason(
    values: Floats, parameter_count: int, evaluator: Evaluator, *, maximize: bool
) -> str:
    if parameter_count < 2:
        return "FEWER_THAN_TWO_PARAMETERS"
    if len(values) < FEWEST_TRIALS:
        return "FEWER_THAN_20_TRIALS"
    flat = (values == values[0]).all()
    if evaluator is Evaluator.PED_ANOVA:
        # The best tenth is no better than the worst: nothing can set it apart.
        flat = best_tenth(values, maximize=maximize).all()
    return "CONSTANT_OBJECTIVE" if flat else ""


def _judged(
    columns: Columns,
    varied: Mapping[str, BaseDistribution],
    values: Floats,
    evaluator: Evaluator,
    study_seed: int,
    *,
    maximize: bool,
) -> _Judged:
    if evaluator is Evaluator.PED_ANOVA:
        best, ped_anova = best_tenth(values, maximize=maximize), PedAnova(columns, varied)
        return _Judged(
            ped_anova.importances(best), lambda order: ped_anova.importances(best[order])
        )
    # The forest's own randomness takes seeds below 2**32.
    fanova = Fanova(columns, varied, draw(study_seed, "importance", "forest") % 2**32)
    return _Judged(
        fanova.importances(values),
        lambda order: fanova.importances(values[order], _CHANCE_TREES),
    )


def _shares(
    names: Sequence[str], judged: _Judged, trial_count: int, study_seed: int
) -> tuple[Share, ...]:
    """Return the shares, and what 95 of 100 permutations stay below, by one normaliser."""
    sources = (
        np.random.default_rng(draw(study_seed, "importance", attempt))
        for attempt in range(PERMUTATIONS)
    )
    chances = [judged.by_chance(source.permutation(trial_count)) for source in sources]
    baseline = np.quantile(chances, _BASELINE_QUANTILE, axis=0)
    # Falling, as Optuna adds them: its shares are ours to the last bit.
    total = sum(sorted(judged.own.tolist(), reverse=True))
    shares = [
        Share(name, float(own / total), float(chance / total), significant=bool(own > chance))
        for name, own, chance in zip(names, judged.own, baseline, strict=True)
    ]
    # Sorting is stable: equal shares stay in the order of the spec.
    return tuple(sorted(shares, key=lambda share: -share.share_ratio))
