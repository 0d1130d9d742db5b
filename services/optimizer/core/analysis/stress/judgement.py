"""What a best trial under stress comes to: what speaks against it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.optimizer.core.analysis.luck.neighborhood import Neighborhood

LEAST_KEPT: Final = 0.5
"""Share of the objective below which a result is fragile."""

LEAST_NOISE_PROFITS: Final = 0.75
"""Share of runs with noise that should have a profit."""

HIGHER_COSTS: Final = 2.0
"""The smallest factor from this on is judged."""

LARGEST_P_VALUE: Final = 0.05

LEAST_DRAWS: Final = 20
"""Of fewer no p-value is below 0.05."""


class StressKind(enum.Enum):
    """What speaks against a result; values are those of `StressWarning.Kind`."""

    COST_FRAGILE = 1
    DELAY_FRAGILE = 2
    NOISE_FRAGILE = 3
    FEW_TRADES_CARRY = 4
    NO_BETTER_THAN_RANDOM_ENTRIES = 5
    NO_BETTER_THAN_ON_PERMUTED_BARS = 6


@dataclass(frozen=True, slots=True)
class StressFinding:
    """Something that speaks against a result, with its numbers for people."""

    kind: StressKind
    message: str


@dataclass(frozen=True, slots=True)
class Stressed:
    """A run under stress.

    Attributes:
        total_return: Its total return; None where it could not be run, and nothing is known.
        objective: Its objective; None where it is undefined.
        cost_factor: The factor on its costs; 1 for a delay.
    """

    total_return: float | None
    objective: float | None
    cost_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Shaken:
    """Runs on markets with noise.

    Attributes:
        profit_share: Share of them with a profit; None where none could be run.
        median_objective: Median of their objectives; None where all are undefined.
    """

    profit_share: float | None
    median_objective: float | None


@dataclass(frozen=True, slots=True)
class StressEvidence:
    """All that is known of a best trial under stress; None for what was left out.

    Attributes:
        objective: Its objective without stress.
        maximize: Whether larger is better.
        costs: Runs with multiplied costs.
        delay: The run with late decisions.
        noise: Runs with noise.
        drop_quantile: Quantile 0.05 of the total return with trades left out.
        entry_p_value: P-value of random entries.
        entry_placement_count: Random placements.
        bar_p_value: P-value of the search on permuted bars.
        bar_market_count: Markets of permuted bars.
    """

    objective: float
    maximize: bool
    costs: Sequence[Stressed] = ()
    delay: Stressed | None = None
    noise: Shaken | None = None
    drop_quantile: float | None = None
    entry_p_value: float | None = None
    entry_placement_count: int = 0
    bar_p_value: float | None = None
    bar_market_count: int = 0

    def kept(self, value: float | None) -> float | None:
        """Return the share of the objective that a value keeps, as of a neighbour's."""
        near = Neighborhood(1, 1, self.objective, None, None, None, self.maximize)
        return near.kept(value)


def findings_of(evidence: StressEvidence) -> tuple[StressFinding, ...]:
    """Return what speaks against a result, in the order of the parts."""
    return (*_of_costs(evidence), *_of_delay(evidence), *_of_noise(evidence), *_of_rest(evidence))


def _of_costs(evidence: StressEvidence) -> Iterator[StressFinding]:
    higher = [one for one in evidence.costs if one.cost_factor >= HIGHER_COSTS]
    if higher:
        first = min(higher, key=lambda one: one.cost_factor)
        told = _fragile(evidence, first)
        if told:
            message = f"With {first.cost_factor:g} times the costs {told}."
            yield StressFinding(StressKind.COST_FRAGILE, message)


def _of_delay(evidence: StressEvidence) -> Iterator[StressFinding]:
    if evidence.delay is not None:
        told = _fragile(evidence, evidence.delay)
        if told:
            message = f"With late decisions {told}."
            yield StressFinding(StressKind.DELAY_FRAGILE, message)


def _fragile(evidence: StressEvidence, run: Stressed) -> str | None:
    if run.total_return is None:
        return None
    if run.total_return <= 0.0:
        return f"there is no profit: {run.total_return:.1%}"
    if run.objective is None:
        return "the objective is undefined"
    kept = evidence.kept(run.objective)
    return _too_little(kept)


def _too_little(kept: float | None) -> str | None:
    if kept is None or kept >= LEAST_KEPT:
        return None
    return f"{kept:.0%} of the objective is kept"


def _of_noise(evidence: StressEvidence) -> Iterator[StressFinding]:
    noise = evidence.noise
    if noise is None or noise.profit_share is None:
        return
    told = None
    if noise.profit_share < LEAST_NOISE_PROFITS:
        told = f"only {noise.profit_share:.0%} of the runs have a profit"
    elif noise.median_objective is None:
        told = "the objective is undefined"
    else:
        told = _too_little(evidence.kept(noise.median_objective))
    if told:
        yield StressFinding(StressKind.NOISE_FRAGILE, f"With noise in prices {told}.")


def _of_rest(evidence: StressEvidence) -> Iterator[StressFinding]:
    quantile = evidence.drop_quantile
    if quantile is not None and quantile <= 0.0:
        yield StressFinding(
            StressKind.FEW_TRADES_CARRY,
            f"With trades left out one choice in twenty earns {quantile:.1%} or less: few trades "
            "carry the profit.",
        )
    if evidence.entry_p_value is not None and evidence.entry_p_value >= LARGEST_P_VALUE:
        yield StressFinding(
            StressKind.NO_BETTER_THAN_RANDOM_ENTRIES,
            _as_well(
                "random placements of the same trades do",
                evidence.entry_p_value,
                evidence.entry_placement_count,
            ),
        )
    if evidence.bar_p_value is not None and evidence.bar_p_value >= LARGEST_P_VALUE:
        yield StressFinding(
            StressKind.NO_BETTER_THAN_ON_PERMUTED_BARS,
            _as_well(
                "markets of bars in random order the same search does",
                evidence.bar_p_value,
                evidence.bar_market_count,
                "On ",
            ),
        )


def _as_well(what: str, p_value: float, count: int, preposition: str = "") -> str:
    """Return how many of so many draws do as well; the p-value counts one more of each."""
    as_good = round(p_value * (1 + count)) - 1
    told = f"{preposition}{as_good:,} of {count:,} {what} as well: p = {p_value:.3f}."
    if count < LEAST_DRAWS:
        told += f" {LEAST_DRAWS} are the least that can tell."
    return told


def permutation_p_value(best: float, others: Sequence[float | None], *, maximize: bool) -> float:
    """Return (1 + markets whose best is as good or better) / (1 + markets).

    `others` are the best objectives of the markets; None where a search found nothing feasible.
    """
    as_good = sum(
        (other >= best if maximize else other <= best) for other in others if other is not None
    )
    return (1 + as_good) / (1 + len(others))
