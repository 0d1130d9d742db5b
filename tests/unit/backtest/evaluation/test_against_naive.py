"""Random expressions against an evaluator that goes bar by bar."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core.evaluation.workbench import resolved
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.parameters import Value
from services.backtest.core.sets.history import required_lookback
from services.backtest.core.sets.refusals import WindowTooShort
from services.backtest.core.strategies import Strategy
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.naive import Naive, bars_of, inputs_defined
from tests.unit.backtest.evaluation.planes_of import planes_of, sets_of, strategy_of
from tests.unit.backtest.evaluation.texts import Texts

HOUR = Interval.HOUR_1
BARS = 190
SETS: tuple[dict[str, Value], ...] = (
    {"n": 3, "x": 0.5, "kind": "plain"},
    {"n": 2, "x": -1.5, "kind": "quick"},
    {"n": 6, "x": 0.0, "kind": "plain"},
    {"n": 3, "x": 4.0, "kind": "quick"},
)


def compared(strategy: Strategy, market: Candles, window_start: int) -> int:
    """Compare all sets on one window; return how many could be run."""
    needed = required_lookback(strategy, Direction.BOTH, sets_of(SETS), Execution(), HOUR)
    frame = markets.frame(market, window_start, needed)
    found, failures = planes_of(frame, strategy, SETS)
    longest = 0
    for number, values in enumerate(SETS):
        program = resolved(strategy.program, (("kind", str(values["kind"])),))
        naive = Naive(program, values, bars_of(market, HOUR))
        roots = list(program.signals.values())
        longest = max(longest, *(naive.lookback(one, HOUR) for one in roots))
        naive.first = inputs_defined(naive, roots, window_start)
        naive.known.clear()
        if naive.first + 2 > BARS:
            assert isinstance(failures[number], WindowTooShort), failures
            continue
        assert found[number].first == naive.first - window_start
        for name, flags in found[number].signals.items():
            wanted = naive.line(program.signals[name], window_start).values
            for bar in range(window_start, BARS):
                told = bar >= naive.first and wanted[bar] == 1
                assert flags[bar - window_start] == told, (name, bar, values)
    assert needed == longest
    return len(found)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([1, 40, 100]))
def test_signals_are_those_of_the_definitions(seed: int, gaps: bool, window_start: int) -> None:
    """So are first decisions and lookbacks: bit for bit, in a batch, with history or without."""
    start_ms = markets.START_MS + 3_600_000 * (seed % 5)
    market = markets.candles(seed % 1_000, BARS, gaps=gaps, start_ms=start_ms, volatility=0.004)
    strategy = Strategy.compiled(Texts(seed).definition(), INDICATORS)
    compared(strategy, market, window_start)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_the_first_decision_is_a_condition_like_others(seed: int) -> None:
    """It is true at one bar, wherever in a condition it stands."""
    market = markets.candles(seed % 1_000, BARS, volatility=0.004)
    strategy = strategy_of(
        parameters=Texts(0).definition().parameters,
        enter_long=Texts(seed).decision(),
        exit_long=f"not ({Texts(seed + 1).decision()}) and ema(close, n) > 0",
    )
    compared(strategy, market, 60)
