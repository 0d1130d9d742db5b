"""Our densities against Optuna's, on the same observations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers._tpe import parzen_estimator as optunas
from optuna.samplers._tpe.sampler import default_weights

from services.optimizer.core.searches.random_search import drawn_point
from services.optimizer.core.searches.tpe.axes import axis_of
from services.optimizer.core.searches.tpe.elementary import Floats
from services.optimizer.core.searches.tpe.parzen import Axes, Parzen
from services.optimizer.core.spec.space import (
    Categories,
    Domain,
    DoubleRange,
    IntRange,
    Parameter,
    Space,
)
from services.optimizer.core.trial import Point

DOMAINS: dict[str, tuple[Domain, BaseDistribution]] = {
    "int": (IntRange(2, 40), IntDistribution(2, 40)),
    "odd step": (IntRange(5, 120, 5), IntDistribution(5, 120, step=5)),
    "wide int": (IntRange(-1_000, 4_000), IntDistribution(-1_000, 4_000)),
    "log int": (IntRange(1, 500, log=True), IntDistribution(1, 500, log=True)),
    "double": (DoubleRange(-1.0, 3.0), FloatDistribution(-1.0, 3.0)),
    "log double": (DoubleRange(1e-4, 0.5, log=True), FloatDistribution(1e-4, 0.5, log=True)),
    "step": (DoubleRange(0.1, 3.1, 0.1), FloatDistribution(0.1, 3.1, step=0.1)),
    "fine step": (DoubleRange(0.0, 1.0, 0.001), FloatDistribution(0.0, 1.0, step=0.001)),
    "words": (Categories(("a", "b", "c")), CategoricalDistribution(("a", "b", "c"))),
}
SETTINGS = optunas._ParzenEstimatorParameters(
    prior_weight=1.0,
    consider_magic_clip=True,
    consider_endpoints=False,
    weights=default_weights,
    multivariate=True,
)


@pytest.fixture(autouse=True)
def stable_sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Optuna take equal observations in their order: by itself the processor decides."""
    stable: dict[str, Any] = dict(vars(np))
    stable["argsort"] = lambda given: np.argsort(given, kind="stable")
    monkeypatch.setattr(optunas, "np", SimpleNamespace(**stable))


def unit_log(domain: Domain) -> float:
    """Return the logarithm of the uniform density, in Optuna's units."""
    if domain.point_count is not None:
        return -float(np.log(domain.point_count))
    assert isinstance(domain, DoubleRange)
    low, high = (np.log(end) if domain.log else end for end in (domain.low, domain.high))
    return -float(np.log(high - low))


class Both:
    """The two estimators on some parameters, with observations and points of their own."""

    def __init__(self, names: list[str], count: int) -> None:
        self.space = Space(tuple(Parameter(name, DOMAINS[name][0]) for name in names))
        axes = [axis_of(parameter) for parameter in self.space.parameters]
        self.axes = Axes.of([one for one in axes if one is not None], joint=True)
        observed = [self._point(1, number) for number in range(count)]
        self.points = [self._point(2, number) for number in range(60)]
        self.ours = Parzen(self.axes, self.places(observed))
        self.theirs = optunas._ParzenEstimator(
            self._optunas(observed), {name: DOMAINS[name][1] for name in names}, SETTINGS
        )

    def _point(self, seed: int, number: int) -> Point:
        return drawn_point(self.space, seed, number, 0)

    def places(self, points: list[Point]) -> Floats:
        """Return the places of points on all axes."""
        found = [axis.places([point[axis.name] for point in points]) for axis in self.axes.all]
        return np.array(found).reshape(len(self.axes.all), len(points))

    def _optunas(self, points: list[Point]) -> dict[str, Floats]:
        return {
            one.name: np.array(
                [DOMAINS[one.name][1].to_internal_repr(point[one.name]) for point in points]
            )
            for one in self.space.parameters
        }

    def differences(self) -> Floats:
        """Return our logarithms less Optuna's, at all points."""
        ours = np.log(self.ours.densities(self.places(self.points))[0])
        shift = sum(unit_log(one.domain) for one in self.space.parameters)
        difference: Floats = ours + shift - self.theirs.log_pdf(self._optunas(self.points))
        return difference


@pytest.mark.parametrize("count", [0, 1, 2, 7, 24, 25, 26, 27, 60, 256])
@pytest.mark.parametrize("name", DOMAINS)
def test_densities_of_one_parameter_are_optunas(name: str, count: int) -> None:
    """Bandwidths, weights, prior, cells and cut ends, from no observation to a full window."""
    if name == "words" and count == 0:
        pytest.skip("nothing to estimate")
    assert np.abs(Both([name], count).differences()).max() < 1e-9


@pytest.mark.parametrize("count", [0, 3, 25, 200])
def test_densities_of_all_parameters_together_are_optunas(count: int) -> None:
    """A kernel spans all axes."""
    assert np.abs(Both(list(DOMAINS), count).differences()).max() < 1e-9


def test_parameters_estimated_alone_have_densities_of_their_own() -> None:
    """Without joint kernels every axis has the density it would have were it the only one."""
    both = Both(list(DOMAINS), 40)
    alone = Parzen(Axes.of(both.axes.all, joint=False), both.ours.places)
    found = alone.densities(both.places(both.points))
    for row, name in enumerate(DOMAINS):
        single = Both([name], 0)
        one = Parzen(single.axes, both.ours.places[row : row + 1])
        expected = one.densities(both.places(both.points)[row : row + 1])[0]
        assert (found[row] == expected).all()


@pytest.mark.parametrize("name", DOMAINS)
def test_points_are_drawn_with_the_density(name: str) -> None:
    """A thousand by a thousand even draws fall where the density says, and on the domain."""
    both = Both([name], 5)
    axis = both.axes.all[0]
    even = (np.arange(300) + 0.5) / 300
    kernels, draws = (part.ravel() for part in np.meshgrid(even[::5], even))
    drawn = both.ours.sample(kernels[None], draws[None])[0]
    assert (axis.settled(drawn) == drawn).all()
    values = [axis.value(number) for number in axis.numbers(drawn[:50]).tolist()]
    assert np.allclose(axis.places(values), drawn[:50], rtol=1e-12)
    halves = _probability_below(both, axis.width or 3.0)
    middle = (axis.width or 3.0) / 2
    assert abs(float(np.mean(drawn < middle)) - halves) < 0.02


def _probability_below(both: Both, width: float) -> float:
    """Return what the density gives to the lower half of an axis, summed over even places."""
    axis = both.axes.all[0]
    if axis.name == "words":
        places = np.arange(3.0)
    elif axis.name == "log int":
        places = axis.places(list(range(1, 501)))
    else:
        places = axis.settled((np.arange(20_000) + 0.5) / 20_000 * width)
    densities = both.ours.densities(places[None])[0]
    return float(densities[places < width / 2].sum() / densities.sum())
