"""The metrics written from their definitions with exact sums, to test the kernels.

A metric without a value is the name of its reason.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, getcontext

from services.common.intervals import Interval
from tests.unit.backtest.engine.reference_orders import Account
from tests.unit.backtest.engine.reference_rules import Position

Result = float | str
DAY = timedelta(days=1)


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def _deviation(numbers: Sequence[float]) -> float:
    if min(numbers) == max(numbers):
        return 0.0
    mean = _mean(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))


def _over(numerator: float, denominator: float, reason: str) -> Result:
    return numerator / denominator if denominator else reason


def _sharpe(returns: Sequence[float], periods: float) -> Result:
    if len(returns) < 2:
        return "TOO_FEW_OBSERVATIONS"
    return _over(_mean(returns) * math.sqrt(periods), _deviation(returns), "NO_VARIANCE")


def _returns(levels: Sequence[float]) -> list[float] | None:
    """Simple returns; None where one would begin at nothing."""
    if any(level <= 0 for level in levels[:-1]):
        return None
    return [later / earlier - 1 for earlier, later in itertools.pairwise(levels)]


def daily_levels(
    opens_ms: Sequence[int], equity: Sequence[float], interval: Interval, capital: float
) -> list[float]:
    """Equity at UTC midnights, the capital first when the window starts at one."""
    moments = [datetime.fromtimestamp(ms / 1000, UTC) for ms in opens_ms]
    closes = [datetime.fromtimestamp(interval.next_open_ms(ms) / 1000, UTC) for ms in opens_ms]
    midnight = moments[0].replace(hour=0, minute=0, second=0, microsecond=0)
    if midnight < moments[0]:
        midnight += DAY
    levels = []
    while midnight <= closes[-1]:
        level = capital
        for close, value in zip(closes, equity, strict=True):
            if close <= midnight:
                level = value
        levels.append(level)
        midnight += DAY
    return levels


def _daily(levels: Sequence[float]) -> dict[str, Result]:
    names = [
        "sharpe_ratio",
        "sortino_ratio",
        "omega_ratio",
        "annualized_volatility_ratio",
        "value_at_risk_95_ratio",
        "conditional_value_at_risk_95_ratio",
        "tail_ratio",
        "skewness",
        "excess_kurtosis",
    ]
    if len(levels) < 2:
        return dict.fromkeys([*names, "ulcer_index_ratio"], "TOO_FEW_OBSERVATIONS")
    out: dict[str, Result] = {"ulcer_index_ratio": "RUINED"}
    if levels[0] > 0:
        falls = [1 - level / max(levels[: day + 1]) for day, level in enumerate(levels)]
        out["ulcer_index_ratio"] = math.sqrt(_mean([fall**2 for fall in falls]))
    returns = _returns(levels)
    if returns is None:
        return out | dict.fromkeys(names, "RUINED")
    few = "TOO_FEW_OBSERVATIONS"
    out["sharpe_ratio"] = _sharpe(returns, 365)
    out["annualized_volatility_ratio"] = (
        _deviation(returns) * math.sqrt(365) if len(returns) > 1 else few
    )
    down = math.sqrt(_mean([min(number, 0) ** 2 for number in returns]))
    out["sortino_ratio"] = _over(_mean(returns) * math.sqrt(365), down, "NO_LOSSES")
    gained = math.fsum(number for number in returns if number > 0)
    lost = -math.fsum(number for number in returns if number < 0)
    out["omega_ratio"] = _over(gained, lost, "NO_LOSSES")
    rising = sorted(returns)
    low, high = _quantile(rising, 1), _quantile(rising, 19)
    out["value_at_risk_95_ratio"] = low
    out["conditional_value_at_risk_95_ratio"] = _mean([x for x in rising if x <= low])
    out["tail_ratio"] = _over(high, abs(low), "NO_LOSSES")
    return out | _shape(returns)


def _quantile(rising: Sequence[float], twentieths: int) -> float:
    low, rest = divmod((len(rising) - 1) * twentieths, 20)
    if rest == 0:
        return rising[low]
    return rising[low] + rest / 20 * (rising[low + 1] - rising[low])


def _shape(returns: Sequence[float]) -> dict[str, Result]:
    if min(returns) == max(returns):
        return {"skewness": "NO_VARIANCE", "excess_kurtosis": "NO_VARIANCE"}
    mean = _mean(returns)
    second, third, fourth = (
        _mean([(number - mean) ** power for number in returns]) for power in (2, 3, 4)
    )
    return {"skewness": third / second**1.5, "excess_kurtosis": fourth / second**2 - 3}


def drawdown(equity: Sequence[float], capital: float) -> dict[str, Result]:
    """Measure the falls of equity from its peaks, the capital being the first."""
    peak, peak_bar, worst = capital, 0, 0.0
    spans: list[tuple[int, bool]] = []
    under = False
    for bar, value in enumerate(equity):
        if value >= peak:
            if under:
                spans.append((bar - peak_bar, True))
            peak, peak_bar, under = value, bar, False
        else:
            worst, under = max(worst, 1 - value / peak), True
    if under:
        spans.append((len(equity) - 1 - peak_bar, False))
    longest = max((span for span, _ in spans), default=0)
    recovered = next((done for span, done in spans if span == longest), None)
    return {
        "max_drawdown_ratio": worst,
        "max_drawdown_duration_bars": longest,
        "max_drawdown_recovered": "NO_DRAWDOWN" if recovered is None else float(recovered),
    }


def _cagr(final: float, capital: float, days: float) -> Result:
    if days < 30:
        return "TOO_FEW_OBSERVATIONS"
    if final <= 0:
        return -1.0
    getcontext().prec = 60
    exponent = Decimal("365.25") / Decimal(days)
    return float((exponent * (Decimal(final / capital)).ln()).exp() - 1)


def _side(closed: Sequence[Position], side: str, long: bool) -> dict[str, Result]:
    profits = [trade.net_profit for trade in closed if trade.long is long]
    wins = sum(profit > 0 for profit in profits)
    return {
        f"{side}_trade_count": len(profits),
        f"{side}_win_rate_ratio": _over(wins, len(profits), "NO_TRADES"),
        f"{side}_net_profit_quote": math.fsum(profits),
    }


def _streak(profits: Sequence[float], won: bool) -> int:
    letters = "".join("x" if (profit > 0) is won else " " for profit in profits)
    return max((len(run) for run in letters.split()), default=0)


def _trades(closed: Sequence[Position]) -> dict[str, Result]:
    profits = [trade.net_profit for trade in closed]
    out: dict[str, Result] = {
        "trade_count": len(closed),
        **_side(closed, "long", long=True),
        **_side(closed, "short", long=False),
        "max_consecutive_wins": _streak(profits, won=True),
        "max_consecutive_losses": _streak(profits, won=False),
    }
    needing = [
        "win_rate_ratio",
        "profit_factor",
        "expectancy_quote",
        "sqn",
        "average_win_quote",
        "average_loss_quote",
        "largest_win_quote",
        "largest_loss_quote",
        "average_bars_held",
        "max_bars_held",
        "average_adverse_excursion_ratio",
        "average_favorable_excursion_ratio",
    ]
    if not closed:
        return out | dict.fromkeys(needing, "NO_TRADES")
    wins, rest = [p for p in profits if p > 0], [p for p in profits if p <= 0]
    held = [trade.exit_bar - trade.entry_bar for trade in closed if trade.exit_bar is not None]
    moves = [trade.excursions() for trade in closed]
    sqn: Result = "TOO_FEW_OBSERVATIONS"
    if len(profits) > 1:
        sqn = _over(_mean(profits) * math.sqrt(len(profits)), _deviation(profits), "NO_VARIANCE")
    return out | {
        "win_rate_ratio": len(wins) / len(profits),
        "profit_factor": _over(math.fsum(wins), -math.fsum(rest), "NO_LOSSES"),
        "expectancy_quote": _mean(profits),
        "sqn": sqn,
        "average_win_quote": _mean(wins) if wins else "NO_WINS",
        "average_loss_quote": _mean(rest) if rest else "NO_LOSSES",
        "largest_win_quote": max(profits),
        "largest_loss_quote": min(profits),
        "average_bars_held": _mean(held),
        "max_bars_held": max(held),
        "average_adverse_excursion_ratio": _mean([adverse for adverse, _ in moves]),
        "average_favorable_excursion_ratio": _mean([favorable for _, favorable in moves]),
    }


def bar_sharpe(account: Account, interval: Interval) -> Result:
    """Mean over deviation of per-bar returns, summed as the conventions of the engine say.

    A flat bar's return is exactly 0, so only bars that held or filled something are in the sums.
    """
    equity = [account.execution.initial_capital_quote, *account.equity]
    count = len(account.equity)
    if count < 2:
        return "TOO_FEW_OBSERVATIONS"
    if equity[-2] <= 0:
        return "RUINED"
    returns = squares = 0.0
    for before, value, active in zip(equity, equity[1:], account.active, strict=False):
        if active:
            change = value / before - 1
            returns += change
            squares += change * change
    mean = returns / count
    variance = (squares - count * mean * mean) / (count - 1)
    if not variance > 0:
        return "NO_VARIANCE"
    return mean / math.sqrt(variance) * math.sqrt(interval.bars_per_year)


def mean_equity(account: Account) -> float:
    """Mean of equity at closes: a flat stretch is one product, other bars are added one by one."""
    total = 0.0
    for active, stretch in itertools.groupby(
        zip(account.active, account.equity, strict=True), key=lambda item: item[0]
    ):
        values = [value for _, value in stretch]
        if active:
            for value in values:
                total += value
        else:
            total += values[0] * len(values)
    return total / len(account.equity)


def metrics(account: Account, opens_ms: Sequence[int], interval: Interval) -> dict[str, Result]:
    """Return every metric of a finished account."""
    capital, equity = account.execution.initial_capital_quote, account.equity
    final = equity[-1]
    days = (interval.next_open_ms(opens_ms[-1]) - opens_ms[0]) / 86_400_000
    falls = drawdown(equity, capital)
    cagr, worst = _cagr(final, capital, days), falls["max_drawdown_ratio"]
    assert isinstance(worst, float)
    notional = [trade.quantity * trade.entry_price for trade in account.trades]
    closed = [trade for trade in account.trades if trade.exit_bar is not None]
    notional += [trade.quantity * trade.exit_price for trade in closed]
    return {
        "total_return_ratio": final / capital - 1,
        "net_profit_quote": final - capital,
        "final_equity_quote": final,
        "cagr_ratio": cagr,
        "bar_sharpe_ratio": bar_sharpe(account, interval),
        "calmar_ratio": cagr if isinstance(cagr, str) else _over(cagr, worst, "NO_DRAWDOWN"),
        **falls,
        **_daily(daily_levels(opens_ms, equity, interval, capital)),
        **_trades(closed),
        "exposure_ratio": account.held_bars / len(equity),
        "turnover_ratio": math.fsum(notional) / mean_equity(account),
        "fees_quote": math.fsum(trade.fees for trade in account.trades),
        "funding_quote": math.fsum(trade.funding for trade in account.trades),
        "ambiguous_bar_count": account.ambiguous,
        "gap_fill_count": account.gaps,
        "rejected_order_count": account.rejected,
        "conflicting_entry_count": account.conflicts,
        "bust": float(account.bust),
        "liquidation_count": account.liquidations,
        "liquidation_loss_quote": math.fsum(trade.loss for trade in account.trades),
        "resolved_bar_count": account.resolved,
        "added_entry_count": account.added,
    }
