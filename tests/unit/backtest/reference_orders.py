"""The rules of orders and money written out bar by bar, slowly and plainly, to test the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.backtest.core.execution import Direction, Execution, IntrabarPolicy, TargetFill
from services.common.frames import Candles
from tests.unit.backtest.reference_signals import Wanted


@dataclass
class Position:
    """A position, open or closed."""

    long: bool
    entry_bar: int
    entry_price: float
    quantity: float
    fees: float
    best: float
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)
    exit_bar: int | None = None
    exit_price: float = 0.0
    net_profit: float = 0.0
    reason: str = "OPEN"

    def gross(self, price: float) -> float:
        """Profit at a price before fees."""
        if self.long:
            return self.quantity * (price - self.entry_price)
        return self.quantity * (self.entry_price - price)

    def excursions(self) -> tuple[float, float]:
        """Largest unfavourable and favourable moves as fractions of the entry."""
        lowest, highest = min([self.entry_price, *self.lows]), max([self.entry_price, *self.highs])
        down = (self.entry_price - lowest) / self.entry_price
        up = (highest - self.entry_price) / self.entry_price
        return (down, up) if self.long else (up, down)


class Account:
    """Trades one window; afterwards it holds everything the engine reports."""

    def __init__(self, candles: Candles, follows: Sequence[bool], execution: Execution) -> None:
        """Take the window's bars and whether each follows the one before directly."""
        self.open = candles.open.tolist()
        self.high = candles.high.tolist()
        self.low = candles.low.tolist()
        self.close = candles.close.tolist()
        self.follows = follows
        self.execution = execution
        self.fee = execution.taker_fee_bps / 1e4
        self.slip = execution.slippage_bps / 1e4
        self.cash = execution.initial_capital_quote
        self.position: Position | None = None
        self.trades: list[Position] = []
        self.equity: list[float] = []
        self.held_bars = self.ambiguous = self.gaps = self.rejected = self.conflicts = 0
        self.bust = False

    def trade(self, wanted: Sequence[Wanted], first: int, direction: Direction) -> None:
        """Run through the window; decisions are taken from bar `first` on."""
        for bar in range(len(self.close)):
            if self.bust:
                self.equity.append(0.0)
                continue
            if bar > first:
                self._act(bar, _allowed(wanted[bar - 1], direction))
            if self.position is not None:
                self._watch(bar)
            self._finish(bar)

    def _act(self, bar: int, wanted: Wanted) -> None:
        """Fill at the open of `bar` what was decided at the close before."""
        long = wanted.enter_long and not wanted.exit_long
        short = wanted.enter_short and not wanted.exit_short
        if long and short:
            self.conflicts += 1
            long = short = False
        held = self.position
        if held is not None:
            leaves = wanted.exit_long if held.long else wanted.exit_short
            reverses = short if held.long else long
            if not leaves and not reverses:
                return
            self._market_exit(bar, self.open[bar], "SIGNAL" if leaves else "REVERSAL")
            self.gaps += not self.follows[bar]
        if long or short:
            self._enter(bar, long)

    def _enter(self, bar: int, long: bool) -> None:
        if self.cash <= 0:
            self.rejected += 1
            return
        self.gaps += not self.follows[bar]
        price = self.open[bar] * (1 + self.slip) if long else self.open[bar] * (1 - self.slip)
        money = self.execution.position_fraction_ratio * self.cash
        quantity = money / (price * (1 + self.fee))
        fee = quantity * price * self.fee
        self.cash -= fee
        self.position = Position(long, bar, price, quantity, fee, best=price)
        self.trades.append(self.position)

    def _market_exit(self, bar: int, price: float, reason: str) -> None:
        assert self.position is not None
        fill = price * (1 - self.slip) if self.position.long else price * (1 + self.slip)
        self._exit(bar, fill, self.fee, reason)

    def _exit(self, bar: int, price: float, fee_ratio: float, reason: str) -> None:
        held = self.position
        assert held is not None
        fee = held.quantity * price * fee_ratio
        held.fees += fee
        held.net_profit = held.gross(price) - held.fees
        self.cash += held.gross(price) - fee
        held.lows += [self.open[bar], price]
        held.highs += [self.open[bar], price]
        held.exit_bar, held.exit_price, held.reason = bar, price, reason
        self.position = None

    def _watch(self, bar: int) -> None:
        """Let stop, trailing stop and target of the open position work on one bar."""
        held = self.position
        assert held is not None
        stop, trailing, target = self._levels(held)
        sign = 1 if held.long else -1
        tighter = max(
            (level for level in (stop, trailing) if level is not None),
            default=None,
            key=lambda x: sign * x,
        )
        stop_reason = "STOP_LOSS" if tighter == stop else "TRAILING_STOP"
        opened, worst, best = self.open[bar], self.low[bar], self.high[bar]
        if not held.long:
            worst, best = best, worst
        if tighter is not None and sign * opened <= sign * tighter:
            self._market_exit(bar, opened, stop_reason)
            return
        if target is not None and sign * opened >= sign * target:
            better = self.execution.target_fill is TargetFill.BETTER_OPEN
            self._exit(bar, opened if better else target, self._target_fee(), "TAKE_PROFIT")
            return
        self.held_bars += 1
        stopped = tighter is not None and sign * worst <= sign * tighter
        reached = target is not None and sign * best >= sign * target
        if stopped and reached:
            self.ambiguous += 1
            policy = self.execution.intrabar_policy
            nearest = policy is IntrabarPolicy.NEAREST_EXTREME_FIRST
            nearer = abs(best - opened) < abs(opened - worst)
            if policy is IntrabarPolicy.TARGET_FIRST or (nearest and nearer):
                stopped = False
        if stopped:
            assert tighter is not None
            self._market_exit(bar, tighter, stop_reason)
        elif reached:
            assert target is not None
            self._exit(bar, target, self._target_fee(), "TAKE_PROFIT")

    def _target_fee(self) -> float:
        own = self.execution.take_profit_fee_bps
        return self.fee if own is None else own / 1e4

    def _levels(self, held: Position) -> tuple[float | None, float | None, float | None]:
        rules, entry = self.execution, held.entry_price
        sign = 1 if held.long else -1
        stop = trailing = target = None
        if rules.stop_loss_ratio is not None:
            stop = entry * (1 - sign * rules.stop_loss_ratio)
        if rules.take_profit_ratio is not None:
            target = entry * (1 + sign * rules.take_profit_ratio)
        if rules.trailing_stop_ratio is not None:
            starts = entry * (1 + sign * (rules.trailing_activation_ratio or 0.0))
            if sign * held.best >= sign * starts:
                trailing = held.best * (1 - sign * rules.trailing_stop_ratio)
        return stop, trailing, target

    def _finish(self, bar: int) -> None:
        """Value the account at the close of a bar."""
        last = bar == len(self.close) - 1
        held = self.position
        value = self.cash + held.gross(self.close[bar]) if held else self.cash
        if held is not None and (value <= 0 or (last and self.execution.close_at_end)):
            self._market_exit(bar, self.close[bar], "BUST" if value <= 0 else "END")
            value = self.cash
        elif held is not None:
            held.lows.append(self.low[bar])
            held.highs.append(self.high[bar])
            held.best = (
                max(held.best, self.high[bar]) if held.long else min(held.best, self.low[bar])
            )
            if last:
                held.exit_price = self.close[bar]
                held.net_profit = held.gross(self.close[bar]) - held.fees
        if value <= 0:
            self.bust, value = True, 0.0
        self.equity.append(value)


def _allowed(wanted: Wanted, direction: Direction) -> Wanted:
    long, short = direction is not Direction.SHORT, direction is not Direction.LONG
    return Wanted(
        enter_long=wanted.enter_long and long,
        exit_long=wanted.exit_long and long,
        enter_short=wanted.enter_short and short,
        exit_short=wanted.exit_short and short,
    )
