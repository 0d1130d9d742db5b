"""Quasi-random search along a scrambled Sobol sequence."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import qmc  # type: ignore[import-untyped]  # scipy ships no types

from services.common.errors import AssayError
from services.optimizer.core.searches import qmc_search
from services.optimizer.core.searches.qmc_search import BITS, QmcSearch
from services.optimizer.core.searches.seeds import draw
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.space import DoubleRange, IntRange, Parameter, Space, accepts
from tests.unit.optimizer.plans import CROSSOVER, MIXED, plan_of, typed

UNIT = Space(tuple(Parameter(name, DoubleRange(0.0, 1.0)) for name in "abcd"))

RARE = ["fast_period * 4 == slow_period"]


def test_points_are_those_of_scipy() -> None:
    """On the unit cube they are the scrambled sequence itself, bit for bit, in any order."""
    engine = qmc.Sobol(4, bits=BITS, rng=np.random.Generator(np.random.PCG64(draw(9, "qmc"))))
    wanted = engine.random(4096)
    search = QmcSearch(UNIT, (), 9, 64)

    for generation in (0, 1, 63, 15, 16, 2):
        points = search.ask(generation, 64)
        block = wanted[generation * 64 : generation * 64 + 64]
        assert [list(point.values()) for point in points] == block.tolist()


def test_every_coordinate_is_spread_perfectly() -> None:
    """Of the first 1,024 points every 1,024th part of a coordinate holds exactly one."""
    points = QmcSearch(UNIT, (), 4, 1024).ask(0, 1024)
    for name in "abcd":
        parts = sorted(int(float(point[name]) * 1024) for point in points)
        assert parts == list(range(1024))


def test_pairs_are_spread_perfectly() -> None:
    """The first 1,024 points of the first two coordinates form a (0, 10, 2)-net in base 2."""
    points = QmcSearch(UNIT, (), 4, 1024).ask(0, 1024)
    for power in range(11):
        cells = {
            (int(float(one["a"]) * 2**power), int(float(one["b"]) * 2 ** (10 - power)))
            for one in points
        }
        assert len(cells) == 1024


def test_a_lattice_gets_what_is_its_share() -> None:
    """Of 1,024 points each value of eight gets 128."""
    space = Space((Parameter("x", IntRange(0, 7)), Parameter("y", DoubleRange(0.0, 1.5, 0.5))))
    points = QmcSearch(space, (), 3, 1024).ask(0, 1024)

    assert all(sum(one["x"] == value for one in points) == 128 for value in range(8))
    assert all(sum(one["y"] == value / 2 for one in points) == 256 for value in range(4))


def test_trials_are_the_points_that_fulfil_the_constraints() -> None:
    """Trial n is the n-th of them, wherever the search is entered."""
    filters = plan_of(SearchKind.QMC, CROSSOVER, RARE).constraints.on_parameters
    free = QmcSearch(CROSSOVER, (), 5, 4096).ask(0, 4096)
    wanted = [point for point in free if accepts(point, filters)]

    assert len(wanted) > 64
    assert QmcSearch(CROSSOVER, filters, 5, 64).ask(0, 64) == wanted[:64]
    resumed = QmcSearch(CROSSOVER, filters, 5, 8)
    assert resumed.ask(6, 8) == wanted[48:56]
    assert resumed.ask(1, 5) == wanted[8:13]


def test_points_are_pinned() -> None:
    """Golden: whole numbers and exact arithmetic give these bits on every machine, for ever."""
    points = QmcSearch(MIXED, (), 42, 2).ask(0, 2)

    assert typed(points) == PINNED


PINNED = [
    [
        ("fast_period", "5"),
        ("slow_period", "100"),
        ("position_fraction_ratio", "0.5"),
        ("hold_bars", "465"),
        ("width", "0.4"),
        ("stop_loss_ratio", "0.031029472845822383"),
        ("threshold", "-0.3799624225898981"),
        ("average", "'sma'"),
        ("only_word", "'one'"),
        ("only_number", "3"),
    ],
    [
        ("fast_period", "38"),
        ("slow_period", "60"),
        ("position_fraction_ratio", "0.5"),
        ("hold_bars", "1"),
        ("width", "2.7"),
        ("stop_loss_ratio", "0.0016987926864755333"),
        ("threshold", "0.46088998665689274"),
        ("average", "'ema'"),
        ("only_word", "'one'"),
        ("only_number", "3"),
    ],
]


def test_a_space_without_feasible_points_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many refusals in a row there is nothing to be found."""
    monkeypatch.setattr(qmc_search, "ATTEMPT_LIMIT", 3_000)
    filters = plan_of(
        SearchKind.QMC, CROSSOVER, ["fast_period > slow_period * 3"]
    ).constraints.on_parameters
    with pytest.raises(AssayError) as refused:
        QmcSearch(CROSSOVER, filters, 1, 8).ask(0, 8)
    assert refused.value.reason == "SPACE_INFEASIBLE"


def test_coordinates_are_whole_multiples_of_the_finest_digit() -> None:
    """So that doubles hold them exactly."""
    for point in QmcSearch(UNIT, (), 8, 256).ask(3, 256):
        for value in point.values():
            assert (Fraction(float(value)) * 2**BITS).denominator == 1
