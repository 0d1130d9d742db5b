"""The reference grid in vectorbt. Runs in vectorbt's own environment; knows nothing of Assay.

    python vectorbt_crossover.py INPUT.npz OUTPUT.npz

INPUT holds open, close, fast, slow and fee. Signals are decided at a close and filled at the next
open, so vectorbt gets them one bar later with the opens as prices. The grid runs twice: with
vectorbt's own moving averages, and with crossings of exact means, found with integers: prices are
decimals, and where two means are equal a floating-point sum may say otherwise. OUTPUT holds returns
and closed trades of both, which sets had other signals, and the CPU seconds of the first.
"""


# The libraries are in the peer's environment only.
# mypy: ignore-errors

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
import vectorbt as vbt

CHUNK = 50
"""Parameter sets of one call: vectorbt is fastest with few at once."""
CASH = 10_000.0


def ticks_of(prices: np.ndarray) -> np.ndarray:
    """Return prices as whole multiples of their smallest decimal."""
    for decimals in range(11):
        ticks = np.round(prices * 10**decimals)
        if np.array_equal(ticks / 10**decimals, prices):
            return ticks.astype(np.int64)
    raise SystemExit("prices have more than 10 decimals")


def exact_crossings(ticks: np.ndarray, fast: int, slow: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where the mean of `fast` closes crosses above and below the mean of `slow`."""
    total = np.concatenate([[0], np.cumsum(ticks)])
    longest = max(fast, slow)
    ends = np.arange(longest, len(total))
    # Means compared without dividing: sum_fast / fast > sum_slow / slow.
    difference = (total[ends] - total[ends - fast]) * slow - (
        total[ends] - total[ends - slow]
    ) * fast
    above = np.zeros(len(ticks), bool)
    below = np.zeros(len(ticks), bool)
    above[longest:] = (difference[:-1] <= 0) & (difference[1:] > 0)
    below[longest:] = (difference[:-1] >= 0) & (difference[1:] < 0)
    return above, below


def filled_next_bar(signals: np.ndarray) -> np.ndarray:
    """Return signals one bar later."""
    later = np.zeros_like(signals)
    later[1:] = signals[:-1]
    return later


def simulate(
    frame: pd.DataFrame, entries: np.ndarray, exits: np.ndarray, fee: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return total returns and closed trades of signals of shape (bars, sets)."""
    portfolio = vbt.Portfolio.from_signals(
        frame["close"],
        pd.DataFrame(filled_next_bar(entries), index=frame.index),
        pd.DataFrame(filled_next_bar(exits), index=frame.index),
        price=frame["open"],
        direction="longonly",
        fees=fee,
        init_cash=CASH,
        freq="1h",
    )
    return portfolio.total_return().to_numpy(), portfolio.trades.closed.count().to_numpy()


def own_signals(
    frame: pd.DataFrame, fast: np.ndarray, slow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return crossings of vectorbt's own moving averages, shape (bars, sets)."""
    quick = vbt.MA.run(frame["close"], window=fast.tolist(), short_name="fast")
    calm = vbt.MA.run(frame["close"], window=slow.tolist(), short_name="slow")
    return quick.ma_crossed_above(calm).to_numpy(), quick.ma_crossed_below(calm).to_numpy()


def exact_signals(
    ticks: np.ndarray, fast: np.ndarray, slow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return crossings of exact means, shape (bars, sets)."""
    pairs = [exact_crossings(ticks, *pair) for pair in zip(fast, slow, strict=True)]
    return np.stack([pair[0] for pair in pairs], 1), np.stack([pair[1] for pair in pairs], 1)


def main(source: str, target: str) -> None:
    """Run the grid and write what came out."""
    given = np.load(source)
    index = pd.date_range("2024-01-01", periods=len(given["close"]), freq="1h")
    frame = pd.DataFrame({"open": given["open"], "close": given["close"]}, index=index)
    ticks = ticks_of(given["close"])
    fee = float(given["fee"])
    rows: dict[str, list[np.ndarray]] = {
        name: [] for name in ("own_return", "own_trades", "exact_return", "exact_trades", "differs")
    }
    cpu_seconds = 0.0
    for start in range(0, len(given["fast"]), CHUNK):
        fast, slow = (given[name][start : start + CHUNK] for name in ("fast", "slow"))
        if start == 0:  # the first call compiles
            simulate(frame, *own_signals(frame, fast, slow), fee)
        before = time.process_time()
        signals = own_signals(frame, fast, slow)
        own = simulate(frame, *signals, fee)
        cpu_seconds += time.process_time() - before
        wanted = exact_signals(ticks, fast, slow)
        exact = simulate(frame, *wanted, fee)
        differs = (signals[0] != wanted[0]).any(0) | (signals[1] != wanted[1]).any(0)
        for name, values in zip(rows, (*own, *exact, differs), strict=True):
            rows[name].append(values)
    np.savez(
        target,
        cpu_seconds=cpu_seconds,
        **{name: np.concatenate(parts) for name, parts in rows.items()},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
