"""Running the engine alone: bars and flags in, trades and equity out."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.backtest.core import ledger
from services.backtest.core.engine import Lines, Recorded, Signals, no_lines, run_one
from services.backtest.core.execution import Execution
from services.backtest.core.frame import Detail, Frame, Funding
from services.backtest.core.market import market_of
from services.backtest.core.terms import terms_matrix, tiers_of
from services.common.frames import Candles
from services.common.intervals import Interval

FREE = Execution(initial_capital_quote=1_000.0, taker_fee_bps=0.0)
"""No costs, so that examples can be worked by hand."""

BUY, SELL, SHORT, COVER = 1, 2, 4, 8

Bar = tuple[float, float, float, float]
FLAT: Bar = (100.0, 100.0, 100.0, 100.0)
START_MS = 1_704_067_200_000
HOUR_MS = 3_600_000


class ExitReason(enum.IntEnum):
    """Why a position was closed, by the ledger's numbers."""

    OPEN = ledger.OPEN
    SIGNAL = ledger.SIGNAL
    REVERSAL = ledger.REVERSAL
    STOP_LOSS = ledger.STOP_LOSS
    TAKE_PROFIT = ledger.TAKE_PROFIT
    TRAILING_STOP = ledger.TRAILING_STOP
    END = ledger.END
    BUST = ledger.BUST
    LIQUIDATION = ledger.LIQUIDATION


@dataclass(frozen=True)
class Deal:
    """A row of the trade table by names; bars are numbers of bars."""

    side: int
    entry_bar: int
    exit_bar: int | None
    entry_price: float
    exit_price: float
    quantity: float
    fees: float
    net_profit: float
    reason: str
    adverse: float
    favorable: float
    funding: float
    entry_count: int
    liquidation_loss: float


@dataclass(frozen=True)
class Played:
    """What came of it."""

    trades: list[Deal]
    recorded: Recorded

    @property
    def equity(self) -> list[float]:
        """Equity at every close."""
        return [float(value) for value in self.recorded.equity]

    def count(self, place: int) -> int:
        """Return something the engine counted."""
        return int(self.recorded.counts[place])


def deal_of(row: npt.NDArray[np.float64]) -> Deal:
    """Read a row of the trade table."""
    numbers = [float(number) for number in row]
    return Deal(
        int(numbers[ledger.SIDE]),
        int(numbers[ledger.ENTRY_BAR]),
        int(numbers[ledger.EXIT_BAR]) if numbers[ledger.EXIT_BAR] >= 0 else None,
        numbers[ledger.ENTRY_PRICE],
        numbers[ledger.EXIT_PRICE],
        numbers[ledger.QUANTITY],
        numbers[ledger.FEES],
        numbers[ledger.NET_PROFIT],
        ExitReason(int(numbers[ledger.EXIT_REASON])).name,
        numbers[ledger.ADVERSE],
        numbers[ledger.FAVORABLE],
        numbers[ledger.FUNDING],
        int(numbers[ledger.ENTRY_COUNT]),
        numbers[ledger.LIQUIDATION_LOSS],
    )


def signals_of(flags: Sequence[int], first: int) -> Signals:
    """Turn a byte of flags per bar into the planes of one set."""
    words = -(-len(flags) // 64)
    bits = np.zeros((4, words * 64), np.uint8)
    for plane in range(4):
        bits[plane, : len(flags)] = np.array(flags, np.uint8) >> plane & 1
    planes = np.packbits(bits, axis=1, bitorder="little").view(np.uint64).reshape(4, 1, words)
    return Signals(planes, np.arange(4), np.array([first]))


def candles_of(bars: Sequence[Bar], times: Sequence[int]) -> Candles:
    """Make candles of (open, high, low, close)."""
    columns = np.array(bars, dtype=np.float64).reshape(len(bars), 4).T
    return Candles.from_columns([times, *columns, np.zeros(len(bars))])


def lines_of(rows: Mapping[int, Sequence[float]], bars: int) -> Lines:
    """Make lines of one set from a row of numbers per column of Lines.of."""
    if not rows:
        return no_lines()
    of = np.full((1, 5), -1)
    of[0, list(rows)] = range(len(rows))
    return Lines(np.array(list(rows.values()), dtype=np.float64).reshape(len(rows), bars), of)


def times_of(count: int, gaps_before: Iterable[int] = ()) -> list[int]:
    """Return open times of hourly bars, one missing before each of some."""
    missing = set(gaps_before)
    times = [START_MS]
    for bar in range(1, count):
        times.append(times[-1] + HOUR_MS * (2 if bar in missing else 1))
    return times


def play(
    bars: Sequence[Bar],
    flags: Mapping[int, int],
    execution: Execution = FREE,
    *,
    first: int = 0,
    gaps_before: Sequence[int] = (),
    funding: Mapping[float, float] | None = None,
    mark: Sequence[Bar] | None = None,
    detail: Mapping[float, Bar] | None = None,
    lines: Mapping[int, Sequence[float]] | None = None,
    interval: Interval = Interval.HOUR_1,
) -> Played:
    """Trade bars (open, high, low, close) with flags raised at the closes of some of them.

    `funding` holds rates, and `detail` minutes, by their time in bars from the first open.
    """
    times = times_of(len(bars), gaps_before)
    if interval is not Interval.HOUR_1:
        times = [START_MS + interval.length_ms * bar for bar in range(len(bars))]
    settled, minutes = funding or {}, detail or {}
    frame = Frame(
        candles_of(bars, times),
        0,
        interval,
        0,
        funding=Funding(
            np.array([START_MS + round(at * HOUR_MS) for at in settled], np.int64),
            np.array(list(settled.values()), np.float64),
        )
        if settled
        else None,
        mark=None if mark is None else candles_of(mark, times),
        detail=Detail(
            candles_of(list(minutes.values()), [START_MS + round(at * HOUR_MS) for at in minutes]),
            Interval.MINUTE_15,
        )
        if minutes
        else None,
    )
    recorded = run_one(
        market_of(frame),
        signals_of([flags.get(bar, 0) for bar in range(len(bars))], first),
        lines_of(lines or {}, len(bars)),
        terms_matrix(execution, {}, 1),
        tiers_of(execution),
    )
    return Played([deal_of(row) for row in recorded.trades], recorded)


def told(trade: Deal) -> tuple[int, int | None, float, float, str]:
    """Return a trade's entry bar, exit bar, entry and exit price, and reason."""
    return (
        trade.entry_bar,
        trade.exit_bar,
        trade.entry_price,
        trade.exit_price,
        trade.reason,
    )


def flat(price: float) -> Bar:
    """Return a bar that stands still."""
    return (price, price, price, price)
