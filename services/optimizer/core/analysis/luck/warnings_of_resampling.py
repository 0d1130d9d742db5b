"""What speaks against a result when its days are drawn or divided again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.optimizer.core.analysis.luck.cross_validation import CrossValidation
from services.optimizer.core.analysis.luck.superior_ability import BenchmarkTest, SuperiorAbility
from services.optimizer.core.analysis.luck.warning_kinds import LuckWarning, WarningKind

SIGNIFICANCE: Final = 0.05
"""From it on a p-value speaks against a result."""

LOSING_PATHS: Final = 0.2
"""From it on the share of paths that lose speaks against a result."""


def of_resampling(
    superior: SuperiorAbility | None, crossed: CrossValidation | None
) -> Iterator[LuckWarning]:
    """Yield what speaks against a result; what was not asked does not."""
    if superior is not None:
        yield from _not_beaten(superior.cash, "cash", WarningKind.CASH_NOT_BEATEN)
        holding = WarningKind.BUY_AND_HOLD_NOT_BEATEN
        yield from _not_beaten(superior.buy_and_hold, "buy-and-hold", holding)
    # Where it tells nothing, a long embargo is to blame rather than the result.
    if crossed is None or crossed.mean is None or crossed.losing_ratio is None:
        return
    if crossed.mean <= 0.0 or crossed.losing_ratio >= LOSING_PATHS:
        yield LuckWarning(
            WarningKind.CROSS_VALIDATION_WEAK,
            f"Chosen by some days and judged by others, the best trials have a Sharpe ratio of "
            f"{crossed.mean:.3f} on average, below 0 on {crossed.losing_ratio:.0%} of "
            f"{len(crossed.path_sharpes):,} paths.",
        )


def _not_beaten(test: BenchmarkTest, name: str, kind: WarningKind) -> Iterator[LuckWarning]:
    if test.p_values is None:
        yield LuckWarning(kind, f"Whether {name} is beaten cannot be told.")
    elif test.p_values.consistent >= SIGNIFICANCE:
        yield LuckWarning(
            kind,
            f"{name.capitalize()} is not shown to be beaten: as much above it comes of "
            f"{test.compared_count:,} such trials without any edge with probability "
            f"{test.p_values.consistent:.3f}, not below {SIGNIFICANCE}.",
        )
