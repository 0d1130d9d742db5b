"""The rules of orders and money written out bar by bar, slowly and plainly, to test the engine."""

from __future__ import annotations

from collections.abc import Sequence

from services.backtest.core.execution import Direction, Execution, IntrabarPolicy, TargetFill
from services.common.frames import Candles
from tests.unit.backtest.engine.reference_rules import (
    Position,
    allowed,
    levels_of,
    liquidation_of,
    market_price,
    quantity_of,
    tick_price,
)
from tests.unit.backtest.engine.reference_signals import Wanted
from tests.unit.backtest.engine.reference_window import Beside, Window


class Account(Window):
    """Trades one window; afterwards it holds everything the engine reports."""

    def __init__(
        self,
        candles: Candles,
        follows: Sequence[bool],
        execution: Execution,
        beside: Beside | None = None,
    ) -> None:
        """Take the window's bars, whether each follows the one before directly, and the rest."""
        super().__init__(candles, follows, beside or Beside())
        self.execution = execution
        self.fee = execution.taker_fee_bps / 1e4
        self.cash = execution.initial_capital_quote
        self.position: Position | None = None
        self.trades: list[Position] = []
        self.equity: list[float] = []
        self.held: list[float] = []
        self.active: list[bool] = []
        self.held_bars = self.ambiguous = self.gaps = self.rejected = self.conflicts = 0
        self.liquidations = self.resolved = self.added = 0
        self.bust = False
        self._filled = False
        self._next: bool | None = None

    def trade(self, wanted: Sequence[Wanted], first: int, direction: Direction) -> None:
        """Run through the window; decisions are taken from bar `first` on."""
        for bar in range(len(self.close)):
            self._filled = False
            if self.bust:
                self.equity.append(0.0)
                self.held.append(0.0)
                self.active.append(False)
                continue
            self._pay(bar, at_open=True)
            if bar > first:
                self._act(bar, allowed(wanted[bar - 1], direction))
            self._pay(bar, at_open=False)
            self._watch(bar)
            if self._next is not None:
                # The order decided at the last close stands, though liquidation came first.
                long, self._next = self._next, None
                self._enter(bar, long)
                self._pay(bar, at_open=False)
                self._watch(bar)
            self._finish(bar)

    def _pay(self, bar: int, *, at_open: bool) -> None:
        """Pay the settlements at a bar's open or inside it."""
        rate = self.rates.get((bar, at_open), 0.0)
        if self.position is not None and rate:
            paid = self.position.sign * self.position.quantity * (self.mark_open[bar] * rate)
            self.cash -= paid
            self.position.funding += paid

    def _act(self, bar: int, wanted: Wanted) -> None:
        """Fill at the open of `bar` what was decided at the close before."""
        long = wanted.enter_long and not wanted.exit_long
        short = wanted.enter_short and not wanted.exit_short
        if long and short:
            self.conflicts += 1
            long = short = False
        held = self.position
        if held is None:
            if long or short:
                self._enter(bar, long)
            return
        leaves = wanted.exit_long if held.long else wanted.exit_short
        reverses = short if held.long else long
        if leaves or reverses:
            if self._broken(held, bar):
                self._next = long if reverses else None
                return
            self._market_exit(bar, self.open[bar], "SIGNAL" if leaves else "REVERSAL")
            self.gaps += not self.follows[bar]
            if reverses:
                self._enter(bar, long)
            return
        fewer = held.entries < self.execution.max_entry_count
        if (long or short) and fewer and not self._broken(held, bar):
            self._add(bar, held)

    def _broken(self, held: Position, bar: int) -> bool:
        level = liquidation_of(self.execution, held)
        return level is not None and held.sign * self.mark_open[bar] <= held.sign * level

    def _line(self, name: str, bar: int, otherwise: float | None) -> float | None:
        row = self.beside.lines.get(name)
        return otherwise if row is None else row[bar - 1]

    def _enter(self, bar: int, long: bool) -> None:
        rules = self.execution
        stop = self._line("stop", bar, rules.stop_loss_ratio)
        target = self._line("target", bar, rules.take_profit_ratio)
        trail = self._line("trail", bar, rules.trailing_stop_ratio)
        price = market_price(self.execution, self.open[bar], buys=long)
        usable = (
            (stop is None or 0 < stop < 1)
            and (target is None or 0 < target <= 100)
            and (trail is None or 0 < trail < 1)
        )
        quantity = self._sized(bar, price, self.cash, stop) if usable else 0.0
        if not quantity:
            self.rejected += 1
            return
        self.gaps += not self.follows[bar]
        fee = quantity * price * self.fee
        self.cash -= fee
        self.position = Position(
            long, bar, price, quantity, fee, price, stop, target, trail, [price]
        )
        self.trades.append(self.position)
        self._filled = True

    def _add(self, bar: int, held: Position) -> None:
        price = market_price(self.execution, self.open[bar], buys=held.long)
        equity = self.cash + held.gross(self.open[bar])
        quantity = self._sized(bar, price, equity, held.stop)
        if not quantity:
            self.rejected += 1
            return
        self.gaps += not self.follows[bar]
        self.added += 1
        fee = quantity * price * self.fee
        self.cash -= fee
        held.fees += fee
        held.entries += 1
        total = held.quantity + quantity
        held.entry_price = (held.quantity * held.entry_price + quantity * price) / total
        held.quantity = total
        held.seen.append(price)
        held.best = max(held.best, price) if held.long else min(held.best, price)

    def _sized(self, bar: int, price: float, equity: float, stop: float | None) -> float:
        own, volatility = (self._line(name, bar, None) for name in ("fraction", "volatility"))
        return quantity_of(self.execution, price, equity, stop, own, volatility)

    def _market_exit(self, bar: int, price: float, reason: str) -> None:
        assert self.position is not None
        fill = market_price(self.execution, price, buys=not self.position.long)
        self._exit(bar, fill, self.fee, reason)

    def _exit(self, bar: int, price: float, fee_ratio: float, reason: str) -> None:
        held = self.position
        assert held is not None
        fee = held.quantity * price * fee_ratio
        held.fees += fee
        held.net_profit = held.gross(price) - held.fees - held.funding
        self.cash += held.gross(price) - fee
        self._close(bar, price, reason)

    def _liquidate(self, bar: int) -> None:
        held, rules = self.position, self.execution
        assert held is not None
        margin = held.quantity * held.entry_price / (rules.leverage or 1.0)
        price = held.entry_price - held.sign * (margin / held.quantity)
        held.loss = margin + held.quantity * price * (rules.liquidation_fee_bps / 1e4)
        held.net_profit = -held.fees - held.funding - held.loss
        self.cash -= held.loss
        self.liquidations += 1
        self._close(bar, price, "LIQUIDATION")

    def _close(self, bar: int, price: float, reason: str) -> None:
        held = self.position
        assert held is not None
        held.seen += [self.open[bar], price]
        held.exit_bar, held.exit_price, held.reason = bar, price, reason
        self.position = None
        self._filled = True

    def _watch(self, bar: int) -> None:
        """Let liquidation, stop, trailing stop and target of the open position work on one bar."""
        held = self.position
        if held is None:
            return
        sign, opened = held.sign, self.open[bar]
        stop, trailing, target = levels_of(self.execution, held)
        ruin = liquidation_of(self.execution, held)
        tighter = max(
            (level for level in (stop, trailing) if level is not None),
            default=None,
            key=lambda x: sign * x,
        )
        stop_reason = "STOP_LOSS" if tighter == stop else "TRAILING_STOP"
        if self._broken(held, bar):
            self._liquidate(bar)
            return
        if tighter is not None and sign * opened <= sign * tighter:
            self._market_exit(bar, opened, stop_reason)
            return
        if target is not None and sign * opened >= sign * target:
            better = self.execution.target_fill is TargetFill.BETTER_OPEN
            self._reach_target(bar, opened if better else target)
            return
        self.held_bars += 1
        happens = self._happens(bar, held, tighter, target, ruin)
        if happens == "LIQUIDATION":
            self._liquidate(bar)
        elif happens == "STOP":
            assert tighter is not None
            self._market_exit(bar, tighter, stop_reason)
        elif happens == "TARGET":
            assert target is not None
            self._reach_target(bar, target)

    def _reach_target(self, bar: int, price: float) -> None:
        held = self.position
        assert held is not None
        own = self.execution.take_profit_fee_bps
        fee = self.fee if own is None else own / 1e4
        self._exit(bar, tick_price(self.execution, price, buys=not held.long), fee, "TAKE_PROFIT")

    def _happens(
        self,
        bar: int,
        held: Position,
        stop: float | None,
        target: float | None,
        ruin: float | None,
    ) -> str | None:
        """What a bar whose open decides nothing does to a position."""
        long = held.long
        falls: str | None = None
        level = None
        if stop is not None and (self.low[bar] <= stop if long else self.high[bar] >= stop):
            falls, level = "STOP", stop
        if ruin is not None and (
            self.mark_low[bar] <= ruin if long else self.mark_high[bar] >= ruin
        ):
            tighter = level is None or (ruin >= level if long else ruin <= level)
            if tighter:
                falls, level = "LIQUIDATION", ruin
        reached = target is not None and (
            self.high[bar] >= target if long else self.low[bar] <= target
        )
        if not reached or falls is None:
            return "TARGET" if reached else falls
        assert level is not None
        assert target is not None
        self.ambiguous += 1
        on_mark = falls == "LIQUIDATION" and self.beside.mark is not None
        if self.beside.detail is not None and not on_mark:
            first = self.first_touched(bar, level, target, long=long)
            if first is not None:
                self.resolved += 1
                return "TARGET" if first == target else falls
        policy = self.execution.intrabar_policy
        up, down = self.high[bar] - self.open[bar], self.open[bar] - self.low[bar]
        nearer = up < down if long else down < up
        nearest = policy is IntrabarPolicy.NEAREST_EXTREME_FIRST
        return "TARGET" if policy is IntrabarPolicy.TARGET_FIRST or (nearest and nearer) else falls

    def _finish(self, bar: int) -> None:
        """Value the account at the close of a bar."""
        last = bar == len(self.close) - 1
        held = self.position
        self.active.append(held is not None or self._filled)
        value = self.cash + held.gross(self.close[bar]) if held else self.cash
        ruined = False
        if held is not None and (value <= 0 or (last and self.execution.close_at_end)):
            ruined = value <= 0
            self._market_exit(bar, self.close[bar], "BUST" if ruined else "END")
            value = self.cash
        elif held is not None:
            held.seen += [self.low[bar], self.high[bar]]
            held.best = (
                max(held.best, self.high[bar]) if held.long else min(held.best, self.low[bar])
            )
            if last:
                held.exit_price = self.close[bar]
                held.net_profit = held.gross(self.close[bar]) - held.fees - held.funding
        if value <= 0 or ruined:
            self.bust, value = True, 0.0
        self.equity.append(value)
        after = self.position
        self.held.append(after.sign * after.quantity if after else 0.0)
