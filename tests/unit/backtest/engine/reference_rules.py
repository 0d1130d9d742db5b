"""The rules of orders and money that need no account: prices, sizes, levels. Slow and plain."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from services.backtest.core.execution import DEFAULT_TIERS, Direction, Execution
from tests.unit.backtest.engine.reference_signals import Wanted


def on_grid(number: float, step: float | None, *, up: bool) -> float:
    """Round to a multiple of a decimal step; what is one but for noise counts as it."""
    if step is None:
        return number
    unit = Fraction(Decimal(repr(step)))
    steps = Fraction(number) / unit
    nearest = math.floor(steps + Fraction(1, 2))
    if abs(steps - nearest) > Fraction(nearest, 10**9):
        nearest = math.ceil(steps) if up else math.floor(steps)
    return float(nearest * unit)


@dataclass
class Position:
    """A position, open or closed."""

    long: bool
    entry_bar: int
    entry_price: float
    quantity: float
    fees: float
    best: float
    stop: float | None = None
    target: float | None = None
    trail: float | None = None
    seen: list[float] = field(default_factory=list)
    exit_bar: int | None = None
    exit_price: float = 0.0
    net_profit: float = 0.0
    reason: str = "OPEN"
    funding: float = 0.0
    entries: int = 1
    loss: float = 0.0

    @property
    def sign(self) -> int:
        """1 for a long, -1 for a short."""
        return 1 if self.long else -1

    def gross(self, price: float) -> float:
        """Profit at a price before fees."""
        if self.long:
            return self.quantity * (price - self.entry_price)
        return self.quantity * (self.entry_price - price)

    def excursions(self) -> tuple[float, float]:
        """Largest unfavourable and favourable moves as fractions of the entry."""
        down = (self.entry_price - min(self.seen)) / self.entry_price
        up = (max(self.seen) - self.entry_price) / self.entry_price
        return (down, up) if self.long else (up, down)


def quantity_of(
    rules: Execution,
    price: float,
    equity: float,
    stop: float | None,
    own: float | None,
    volatility: float | None,
) -> float:
    """Quantity of an order, 0 where it is rejected; `own` is the strategy's share of equity."""
    taker_fee = rules.taker_fee_bps / 1e4
    leverage = rules.leverage or 1.0
    if equity <= 0 or price <= 0:
        return 0.0
    base = rules.initial_capital_quote if rules.size_on_initial_capital else equity
    most = base * leverage / (price * (1 + taker_fee))
    if own is not None:
        if not 0 < own <= 1:
            return 0.0
        quantity = own * base * leverage / (price * (1 + taker_fee))
    elif rules.position_quote is not None:
        quantity = rules.position_quote / price
    elif rules.position_quantity_base is not None:
        quantity = rules.position_quantity_base
    elif rules.risk_per_trade_ratio is not None:
        assert stop is not None
        quantity = min(most, rules.risk_per_trade_ratio * base / (price * stop))
    elif rules.volatility_target_ratio is not None:
        if volatility is None or not 0 < volatility < math.inf:
            return 0.0
        quantity = min(most, base * (rules.volatility_target_ratio / volatility) / price)
    else:
        share = rules.position_fraction_ratio
        share = 1.0 if share is None else share
        quantity = share * base * leverage / (price * (1 + taker_fee))
    quantity = on_grid(quantity, rules.quantity_step_base, up=False)
    notional = quantity * price
    too_small = quantity < (rules.minimum_quantity_base or 0.0) or notional < (
        rules.minimum_notional_quote or 0.0
    )
    too_large = notional + notional * taker_fee > equity * leverage * (1 + 1e-9)
    return 0.0 if too_small or too_large else quantity


def levels_of(rules: Execution, held: Position) -> tuple[float | None, float | None, float | None]:
    """Stop, trailing stop and target of a position, where it has them."""
    entry, sign = held.entry_price, held.sign
    stop = trailing = target = None
    if held.stop is not None:
        stop = entry * (1 - sign * held.stop)
    if held.target is not None:
        target = entry * (1 + sign * held.target)
    if held.trail is not None:
        starts = entry * (1 + sign * (rules.trailing_activation_ratio or 0.0))
        if sign * held.best >= sign * starts:
            trailing = held.best * (1 - sign * held.trail)
    return stop, trailing, target


def liquidation_of(rules: Execution, held: Position) -> float | None:
    """Price at which a position is liquidated, where it has a margin."""
    if rules.leverage is None:
        return None
    notional = held.quantity * held.entry_price
    tiers = rules.risk_tiers or DEFAULT_TIERS
    fitting = [
        tier
        for tier in tiers
        if tier.notional_limit_quote is None or notional <= tier.notional_limit_quote
    ]
    tier = (fitting or tiers[-1:])[0]
    kept = notional * tier.maintenance_margin_ratio - tier.deduction_quote
    margin = notional / rules.leverage
    return held.entry_price - held.sign * ((margin - kept) / held.quantity)


def tick_price(rules: Execution, price: float, *, buys: bool) -> float:
    """Price of a fill, on the tick against the trader."""
    return max(0.0, on_grid(price, rules.tick_size_quote, up=buys))


def market_price(rules: Execution, price: float, *, buys: bool) -> float:
    """Fill of a market order: slipped, on the tick."""
    sign = 1 if buys else -1
    shifted = price * (1 + sign * (rules.slippage_bps / 1e4))
    shifted += sign * (rules.slippage_ticks * (rules.tick_size_quote or 0.0))
    return tick_price(rules, shifted, buys=buys)


def allowed(wanted: Wanted, direction: Direction) -> Wanted:
    """Leave out the sides that are not allowed."""
    long, short = direction is not Direction.SHORT, direction is not Direction.LONG
    return Wanted(
        enter_long=wanted.enter_long and long,
        exit_long=wanted.exit_long and long,
        enter_short=wanted.enter_short and short,
        exit_short=wanted.exit_short and short,
    )
