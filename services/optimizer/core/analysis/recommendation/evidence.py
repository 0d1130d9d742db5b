"""What a recommendation follows from, and the reasons it gives."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from services.optimizer.core.analysis.luck.verdict import Verdict as LuckVerdict


class Verdict(enum.Enum):
    """What it comes to; values are those of `Recommendation.Verdict`."""

    NOT_RECOMMENDED = 1
    CAUTION = 2
    REASONABLE = 3


class Weight(enum.Enum):
    """Which way a reason speaks; values are those of `RecommendationReason.Weight`."""

    AGAINST = 1
    DOUBT = 2
    FOR = 3


class ReasonKind(enum.Enum):
    """What a reason is about; values are those of `RecommendationReason.Kind`."""

    NOTHING_FEASIBLE = 1
    PROFIT = 2
    LUCK = 3
    DEFLATED_SHARPE = 4
    TRADE_COUNT = 5
    NEIGHBORHOOD = 6
    BUY_AND_HOLD = 7
    WALK_FORWARD = 8
    SUPERIOR_TO_CASH = 9
    SUPERIOR_TO_BUY_AND_HOLD = 10
    CROSS_VALIDATION = 11
    DOUBLE_COSTS = 12
    DELAY = 13
    RANDOM_ENTRIES = 14
    UNPROVEN = 15


@dataclass(frozen=True, slots=True)
class Reason:
    """Something a verdict follows from, with one sentence for people."""

    kind: ReasonKind
    weight: Weight
    message: str


@dataclass(frozen=True, slots=True)
class ChoiceFacts:
    """What is known of the choice that is judged; None where it is not known.

    Attributes:
        name: What to call it, for people.
        walked: Whether it comes of a walk forward: that is the evidence then, not its own numbers.
        total_return_ratio: Last equity over initial capital, less 1.
        max_drawdown_ratio: Largest drawdown.
        trade_count: Closed trades.
        deflated_sharpe: Its own deflated Sharpe ratio.
        neighborhood_weak: Whether little is left of its objective close by.
        neighborhood_kept: Share of its objective that the neighbours' median keeps.
    """

    name: str
    walked: bool = False
    total_return_ratio: float | None = None
    max_drawdown_ratio: float | None = None
    trade_count: int | None = None
    deflated_sharpe: float | None = None
    neighborhood_weak: bool | None = None
    neighborhood_kept: float | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What the parts of a report say; None for what was not asked for or cannot be told.

    Attributes:
        choice: The choice that is judged; None where there is nothing to choose.
        finished_trial_count: Finished trials of the study; None where it is not known.
        failed_trial_count: Those of them that failed.
        luck: Verdict of the statistics of luck.
        luck_warnings: Those of their warnings that the verdict is told with, for people.
        buy_and_hold_return_ratio: What buy-and-hold returns over the bars the choice was chosen by.
        buy_and_hold_drawdown_ratio: Its largest drawdown.
        walk_forward_passed: Whether a walk forward meets its criteria.
        superior_to_cash_p: Consistent p-value of the test for superior ability against cash.
        superior_to_buy_and_hold_p: The same against buy-and-hold.
        losing_path_share: Share of the paths of cross-validation that lose.
        mean_path_sharpe: Mean of their Sharpe ratios.
        double_cost_return_ratio: Total return at twice the costs.
        delay_kept_ratio: Share of the total return that is left with fills a bar later; negative
            for a loss.
        random_entry_p: Share of entries drawn by chance that do at least as well.
    """

    choice: ChoiceFacts | None = None
    finished_trial_count: int | None = None
    failed_trial_count: int = 0
    luck: LuckVerdict | None = None
    luck_warnings: Sequence[str] = ()
    buy_and_hold_return_ratio: float | None = None
    buy_and_hold_drawdown_ratio: float | None = None
    walk_forward_passed: bool | None = None
    superior_to_cash_p: float | None = None
    superior_to_buy_and_hold_p: float | None = None
    losing_path_share: float | None = None
    mean_path_sharpe: float | None = None
    double_cost_return_ratio: float | None = None
    delay_kept_ratio: float | None = None
    random_entry_p: float | None = None
