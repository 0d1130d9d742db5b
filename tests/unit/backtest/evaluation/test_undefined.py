"""What is undefined, and what comes of it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from services.backtest.core import single
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.parameters import ParameterInfo, ParameterType, Value
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.planes_of import planes_of, strategy_of

VOLUMES = [1.0, 0.0, 2.0, 0.0, 0.0, 3.0, 1.0, 2.0] * 20
ZERO = ParameterInfo("zero", ParameterType.DOUBLE, "", "", -1.0, 1.0)


def frame() -> Frame:
    """A market whose volume is 0 at times: what is divided by it has holes."""
    market = markets.candles(4, len(VOLUMES))
    return Frame(Candles.from_columns([*market.columns()[:5], VOLUMES]), 0, Interval.HOUR_1, 1)


def flags_of(text: str, **values: Value) -> list[bool]:
    """Return where a condition holds."""
    infos = (ZERO,) if values else ()
    found, failures = planes_of(frame(), strategy_of(parameters=infos, enter_long=text), [values])
    assert not failures
    return [bool(flag) for flag in found[0].signals["enter_long"]]


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
def test_what_is_divided_by_zero_compares_false(sign: str) -> None:
    """By every sign, on either side, with a number and with a row."""
    defined = [volume > 0 for volume in VOLUMES]
    for text in (f"1 / volume {sign} 0.5", f"0.5 {sign} 1 / volume", f"1 / volume {sign} hour / 7"):
        flags = flags_of(text)
        assert any(flags) or sign == "=="
        assert not any(flag and not known for flag, known in zip(flags, defined, strict=True))


def test_not_of_an_undefined_comparison_is_true() -> None:
    """It is said of the comparison, not of the number."""
    flags = flags_of("not (1 / volume > 0)")
    assert flags == [volume == 0 for volume in VOLUMES]


def test_holes_never_cross() -> None:
    """A crossing needs both bars: none comes out of a hole, and none leads into one."""
    for text, limit in (
        ("crosses_above(1 / volume, 0.6)", lambda _: 0.6),
        ("crosses_above(1 / volume, hour / 20)", lambda bar: (bar % 24) / 20),
    ):
        flags = flags_of(text)
        inverse = [1 / volume if volume else None for volume in VOLUMES]
        wanted = [False]
        for bar, (before, now) in enumerate(itertools.pairwise(inverse), start=1):
            wanted.append(
                before is not None
                and now is not None
                and before <= limit(bar - 1)
                and now > limit(bar)
            )
        assert flags == wanted
        assert any(wanted)


@pytest.mark.parametrize(
    ("static", "rowwise"),
    [
        ("1 / zero", "1 / (zero * close / close)"),
        ("-1 / zero", "-1 / (zero * close / close)"),
        ("zero / zero", "zero / (zero * close)"),
        ("sqrt(zero - 1)", "sqrt(zero - 1 + 0 * close)"),
        ("1e308 * (10 + zero)", "1e308 * (10 + zero * close)"),
        ("min(1 / zero, 3)", "min(1 / (zero * close), 3)"),
    ],
)
def test_numbers_that_never_change_are_undefined_as_those_that_do(
    static: str, rowwise: str
) -> None:
    """An infinity is no number, whether parameters or prices make it."""
    for shape in ("close > {}", "close < {}", "not (close < {})", "crosses_above({}, close)"):
        one = flags_of(shape.format(static), zero=0.0)
        other = flags_of(shape.format(rowwise), zero=0.0)
        assert one[1:] == other[1:]
        assert any(one) is ("not" in shape)


def test_numbers_that_never_change_do_not_cross() -> None:
    """Neither each other nor themselves."""
    for text in ("crosses_above(2, 1)", "crosses_below(2, 1)", "crosses_above(close, close)"):
        assert not any(flags_of(f"{text} and close > 0"))
        assert all(flags_of(f"not {text} and close > 0")[1:])


def test_an_undefined_condition_on_longer_bars_decides_nothing() -> None:
    """The first decision waits for it."""
    strategy = strategy_of(enter_long='not on("4h", close > 0)', exit_long="true")
    found, _ = planes_of(frame(), strategy, [{}])
    assert found[0].first == 3
    assert not found[0].signals["enter_long"].any()
    assert not found[0].signals["exit_long"][:3].any()
    assert found[0].signals["exit_long"][3:].all()


def test_distances_undefined_or_out_of_bounds_reject_the_order() -> None:
    """A stop of 1 / volume: no order where volume is 0, and none where it is above 1."""
    strategy = strategy_of(enter_long="true", exit_long="true", stop_loss="1 / volume")
    held = strategy_of(enter_long="true", stop_loss="0.3 / volume")
    run = single.run(frame(), strategy, Direction.LONG, {}, Execution())
    assert len(run.trades) == 0
    run = single.run(frame(), held, Direction.LONG, {}, Execution())
    entered = {
        int(np.flatnonzero(run.open_time_ms == trade.entry_time_ms)[0]) for trade in run.trades
    }
    assert entered
    assert all(VOLUMES[bar - 1] > 0 for bar in entered)
