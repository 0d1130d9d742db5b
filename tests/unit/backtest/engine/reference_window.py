"""A window as lists, with the settlements and shorter candles that fall into each bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.common.frames import Candles


@dataclass(frozen=True)
class Beside:
    """What goes with a window's candles; rates and minutes by their times."""

    funding: Sequence[tuple[int, float]] = ()
    mark: Candles | None = None
    detail: Candles | None = None
    lines: Mapping[str, Sequence[float]] = field(default_factory=dict)
    bar_ms: int = 3_600_000


class Window:
    """Bars of a window and what goes with them."""

    def __init__(self, candles: Candles, follows: Sequence[bool], beside: Beside) -> None:
        """Take the bars, whether each follows the one before directly, and the rest."""
        self.beside = beside
        self.times = candles.open_time_ms.tolist()
        self.open = candles.open.tolist()
        self.high = candles.high.tolist()
        self.low = candles.low.tolist()
        self.close = candles.close.tolist()
        mark = self.beside.mark or candles
        self.mark_open, self.mark_high = mark.open.tolist(), mark.high.tolist()
        self.mark_low = mark.low.tolist()
        self.rates = self._settlements()
        self.follows = follows

    def _settlements(self) -> dict[tuple[int, bool], float]:
        """Sum the rates by the bar that pays them, and whether at its open or inside it."""
        rates: dict[tuple[int, bool], float] = {}
        for time, rate in self.beside.funding:
            if not self.times[0] <= time < self.times[-1] + self.beside.bar_ms:
                continue
            holder = max(number for number, opens in enumerate(self.times) if opens <= time)
            opening = time - self.times[holder] <= 1_000
            if time >= self.times[holder] + self.beside.bar_ms:
                holder, opening = holder + 1, True
            rates[holder, opening] = rates.get((holder, opening), 0.0) + rate
        return rates

    def first_touched(self, bar: int, level: float, target: float, *, long: bool) -> float | None:
        """Which of two prices the shorter candles touch first; None where they cannot tell."""
        shorter = self.beside.detail
        assert shorter is not None
        columns = (shorter.open_time_ms.tolist(), shorter.high.tolist(), shorter.low.tolist())
        for time, high, low in zip(*columns, strict=True):
            if not self.times[bar] <= time < self.times[bar] + self.beside.bar_ms:
                continue
            touched = [
                price
                for price, above in ((level, not long), (target, long))
                if (high >= price if above else low <= price)
            ]
            if touched:
                return touched[0] if len(touched) == 1 else None
        return None
