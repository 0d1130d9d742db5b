"""Why a set cannot be run on a frame."""

from __future__ import annotations

from services.backtest.core.evaluation.timeline import IntervalUnusable
from services.common.errors import AssayError, Violation, fields_invalid


class LookbackTooShort(Exception):  # noqa: N818 - says what happened
    """The frame holds less history than the set needs, though its dataset may hold more."""

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(f"needs {needed} bars before the window, the frame holds {available}")
        self.needed = needed
        self.available = available


class WindowTooShort(Exception):  # noqa: N818 - says what happened
    """The window leaves no bar for a decision and a fill.

    Attributes:
        needed: Bars the window would have to have.
        available: Bars it has.
    """

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(
            f"the window has {available} bars, but a first decision and its fill need {needed}"
        )
        self.needed = needed
        self.available = available


class TooCostly(Exception):  # noqa: N818 - says what happened
    """A set's expressions need more rows than a worker computes for one set."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the expressions need more than {most:,} rows on a window this long")


def unusable(error: IntervalUnusable) -> AssayError:
    """Return what a caller hears of bars that cannot be made."""
    return fields_invalid([Violation("strategy.definition", str(error))])
