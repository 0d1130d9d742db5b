"""Writing fills into a trade: the arithmetic of entries and exits."""

from __future__ import annotations

from services.backtest.core.kernel import Numbers, inner
from services.backtest.core.ledger import (
    ADVERSE,
    ENTRY_BAR,
    ENTRY_COUNT,
    ENTRY_PRICE,
    EXIT_BAR,
    EXIT_PRICE,
    EXIT_REASON,
    FAVORABLE,
    FEES,
    FUNDING,
    LIQUIDATION_LOSS,
    NET_PROFIT,
    OPEN,
    QUANTITY,
    SIDE,
)


@inner
def write_entry(
    trade: Numbers, bar: int, side: float, price: float, quantity: float, fee_ratio: float
) -> float:
    """Write the first entry into a trade; return its fee."""
    fee = quantity * price * fee_ratio
    trade[SIDE] = side
    trade[ENTRY_BAR] = bar
    trade[ENTRY_PRICE] = price
    trade[QUANTITY] = quantity
    trade[FEES] = fee
    trade[FUNDING] = 0.0
    trade[ENTRY_COUNT] = 1.0
    trade[LIQUIDATION_LOSS] = 0.0
    return float(fee)


@inner
def write_added_entry(trade: Numbers, price: float, quantity: float, fee_ratio: float) -> float:
    """Write one more entry into a trade, whose entry price becomes the mean; return its fee."""
    fee = quantity * price * fee_ratio
    held = trade[QUANTITY]
    trade[ENTRY_PRICE] = (held * trade[ENTRY_PRICE] + quantity * price) / (held + quantity)
    trade[QUANTITY] = held + quantity
    trade[FEES] += fee
    trade[ENTRY_COUNT] += 1.0
    return float(fee)


@inner
def write_exit(trade: Numbers, bar: int, price: float, fee_ratio: float, reason: int) -> float:
    """Write the exit into a trade; return what it adds to cash: gross profit less its fee."""
    gross = trade[SIDE] * trade[QUANTITY] * (price - trade[ENTRY_PRICE])
    fee = trade[QUANTITY] * price * fee_ratio
    trade[EXIT_BAR] = bar
    trade[EXIT_PRICE] = price
    trade[FEES] += fee
    trade[NET_PROFIT] = gross - trade[FEES] - trade[FUNDING]
    trade[EXIT_REASON] = reason
    return float(gross - fee)


@inner
def write_liquidation(trade: Numbers, bar: int, price: float, loss: float, reason: int) -> float:
    """Write a liquidation into a trade; return what it adds to cash: nothing but the loss."""
    trade[EXIT_BAR] = bar
    trade[EXIT_PRICE] = price
    trade[LIQUIDATION_LOSS] = loss
    trade[NET_PROFIT] = -trade[FEES] - trade[FUNDING] - loss
    trade[EXIT_REASON] = reason
    return -loss


@inner
def write_open_end(trade: Numbers, close: float) -> None:
    """Write the state at the last close into a trade that stays open."""
    gross = trade[SIDE] * trade[QUANTITY] * (close - trade[ENTRY_PRICE])
    trade[EXIT_BAR] = -1.0
    trade[EXIT_PRICE] = close
    trade[NET_PROFIT] = gross - trade[FEES] - trade[FUNDING]
    trade[EXIT_REASON] = OPEN


@inner
def write_excursions(trade: Numbers, lowest: float, highest: float) -> None:
    """Write the moves from the entry price to the extreme prices since into a trade."""
    entry = trade[ENTRY_PRICE]
    down, up = (entry - lowest) / entry, (highest - entry) / entry
    trade[ADVERSE], trade[FAVORABLE] = (down, up) if trade[SIDE] > 0.0 else (up, down)


@inner
def pay(trade: Numbers, charge: float) -> float:
    """Write funding into a trade, `charge` being what a unit held long pays; return it."""
    paid = trade[SIDE] * trade[QUANTITY] * charge
    trade[FUNDING] += paid
    return float(paid)
