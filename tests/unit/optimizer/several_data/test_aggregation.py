"""What the values of one objective over several data become."""

from __future__ import annotations

import math
import statistics
import sys
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.optimizer.core.spec.constraints import read_constraints
from services.optimizer.core.spec.data_aggregation import (
    AggregationRule,
    aggregated,
    constraint_values,
)
from services.optimizer.core.trial import DatasetResult, Outcome

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LISTS = st.lists(FLOATS, min_size=1, max_size=32)


@given(LISTS)
@example([sys.float_info.max] * 3)
@settings(max_examples=60)
def test_the_mean_is_the_exact_sum_divided_once(values: list[float]) -> None:
    """As over fractions: the sum is rounded once, and the quotient once; huge ones only then."""
    exact = sum(map(Fraction, values))
    huge = max(map(abs, values)) > 1e300
    wanted = float(exact / len(values)) if huge else float(exact) / len(values)
    assert aggregated(AggregationRule.MEAN, values) == wanted


@given(st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=32))
@settings(max_examples=60)
def test_the_median_is_that_of_statistics(values: list[float]) -> None:
    """Of an even number the mean of the two in the middle."""
    assert aggregated(AggregationRule.MEDIAN, values) == statistics.median(values)


@given(LISTS, st.randoms(use_true_random=False), st.sampled_from(AggregationRule), st.booleans())
@settings(max_examples=60)
def test_the_order_of_the_data_does_not_show(
    values: list[float], chance: object, rule: AggregationRule, maximize: bool
) -> None:
    """In no bit."""
    shuffled = list(values)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (aggregated(rule, some, maximize=maximize) for some in (values, shuffled))
    assert one is not None
    assert other is not None
    assert one.hex() == other.hex()


def test_worst_depends_on_the_direction() -> None:
    """The smallest of what is maximised, the largest of what is minimised."""
    values = [0.5, -1.0, 3.0]
    assert aggregated(AggregationRule.WORST, values, maximize=True) == -1.0
    assert aggregated(AggregationRule.WORST, values, maximize=False) == 3.0


def test_opposite_infinities_have_no_mean() -> None:
    """One kind of them has."""
    assert aggregated(AggregationRule.MEAN, [math.inf, -math.inf]) is None
    assert aggregated(AggregationRule.MEAN, [math.inf, 1.0]) == math.inf


def test_a_constraint_is_worth_what_it_is_worth_where_it_is_farthest_from_holding() -> None:
    """And cannot be judged where it cannot be judged on one of the data."""
    metrics = frozenset({"trade_count", "sharpe_ratio"})
    found, _ = read_constraints(
        ["trade_count >= 30", "sharpe_ratio > 0"], frozenset(), frozenset(), metrics
    )

    def outcome(*told: dict[str, float]) -> Outcome:
        return Outcome(dataset_results=tuple(DatasetResult(metrics=one) for one in told))

    few = {"trade_count": 10.0, "sharpe_ratio": 2.0}
    many = {"trade_count": 50.0, "sharpe_ratio": 1.0}
    assert constraint_values(found, {}, outcome(few, many)) == (20.0, -1.0)
    assert constraint_values(found, {}, outcome(many, many)) == (-20.0, -1.0)
    assert constraint_values(found, {}, outcome(many, {"trade_count": 50.0})) is None
    assert constraint_values(found, {}, Outcome(metrics=few)) == (20.0, -2.0)
