"""Specs with their defaults written out, and what the core makes of them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.common.errors import AssayError
from services.optimizer.convert.creation import id_violations, ledger_key_of, reachable_plan
from services.optimizer.convert.defaults import pin_counts, with_defaults
from services.optimizer.convert.durations import milliseconds_of
from services.optimizer.convert.limits import limits_message, limits_of, updated_limits
from services.optimizer.convert.spec_checks import spec_violations
from services.optimizer.convert.specs import draft_of, plan_of
from services.optimizer.core.spec.draft import PruningKind, PruningRule, SearchKind, SearchOptions
from services.optimizer.core.spec.expression import Expression
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.study.limits import Limits

SPEC: dict[str, Any] = {
    "data": [{"dataset": "datasets/x"}],
    "strategy": {"name": "strategies/ma_crossover"},
    "parameters": [
        {"name": "a", "int_range": {"low": 1, "high": 9}},
        {"name": "b", "double_range": {"low": 0, "high": 1, "step": 0.25}},
        {"name": "c", "categories": {"values": ["x", "y"]}},
        {"name": "one", "int_range": {"low": 3, "high": 3}},
        {"name": "f", "fixed_value": {"int_value": "3"}},
    ],
    "objectives": [{"metric": "sharpe_ratio"}],
}
TWO = [{"metric": "sharpe_ratio"}, {"metric": "trade_count"}]


def spec(**changes: Any) -> study_pb2.StudySpec:
    """Return the spec with changes, its defaults filled in."""
    return with_defaults(json_format.ParseDict({**SPEC, **changes}, study_pb2.StudySpec()), seed=77)


@pytest.mark.parametrize(
    "changes",
    [
        {"qmc": {"trial_count": 5}},
        {"cma_es": {"trial_count": 5}},
        {"evolutionary": {"trial_count": 5}},
        {"brute_force": {}},
        {"bayesian": {"trial_count": 5}, "pruning": {"median": {}}},
        {"bayesian": {"trial_count": 5}, "warm_start": {"studies": ["studies/x"]}},
    ],
)
def test_filling_in_defaults_twice_changes_nothing(changes: dict[str, Any]) -> None:
    """Whatever the search."""
    filled = spec(**changes)

    assert with_defaults(filled, seed=99) == filled
    assert filled.generation_size > 0


def test_every_default_of_the_searches_is_written_out() -> None:
    """As the contract says them."""
    learnt, several = (
        spec(bayesian={"trial_count": 5}),
        spec(bayesian={"trial_count": 5}, objectives=TWO),
    )
    adapted, bred = spec(cma_es={"trial_count": 5}), spec(evolutionary={"trial_count": 5})

    assert (learnt.bayesian.multivariate, several.bayesian.multivariate) == (True, False)
    assert several.bayesian.HasField("multivariate")
    assert (learnt.bayesian.startup_trial_count, learnt.bayesian.history_window) == (10, 256)
    assert learnt.generation_size == 8
    assert (adapted.cma_es.population_size, adapted.generation_size) == (6, 6)
    assert adapted.cma_es.initial_sigma_ratio == 1 / 6
    assert (bred.evolutionary.population_size, bred.generation_size) == (50, 50)
    assert bred.evolutionary.algorithm == study_pb2.EvolutionarySearch.ALGORITHM_NSGA_II
    assert spec(qmc={"trial_count": 5}).generation_size == 256
    assert spec(brute_force={}).generation_size == 256
    assert spec(cma_es={"trial_count": 5, "population_size": 12}).generation_size == 12


@pytest.mark.parametrize(("adapted", "size"), [(1, 6), (2, 6), (3, 7), (5, 8), (20, 12), (32, 14)])
def test_the_population_of_cma_es_grows_with_its_numbers(adapted: int, size: int) -> None:
    """4 + floor(3 ln n), at least 6; words and single values are not adapted."""
    numbers = [{"name": f"p{n}", "int_range": {"low": 1, "high": 9}} for n in range(adapted)]
    words = SPEC["parameters"][2:] if adapted < 30 else []

    assert spec(parameters=[*numbers, *words], cma_es={}).cma_es.population_size == size


def test_the_core_sees_what_the_spec_says() -> None:
    """Options, pruning, limits, points, timeouts and composite objectives."""
    draft = draft_of(
        spec(
            bayesian={"trial_count": 50, "startup_trial_count": 7, "history_window": 99},
            objectives=[
                {
                    "metric": "score",
                    "expression": "sharpe_ratio - max_drawdown_ratio",
                    "direction": "DIRECTION_MINIMIZE",
                }
            ],
            pruning={"percentile": {"kept_percent": 25}, "rung_bar_counts": ["5", "9"]},
            stop_rule={"max_duration": "1.0005s", "patience_trial_count": "9", "target_value": 0},
            trial_timeout="30s",
            starting_points=[
                {
                    "parameters": [
                        {"name": "c", "value": {"category_value": "y"}},
                        {"name": "a", "value": {"int_value": "3"}},
                    ]
                }
            ],
        )
    )

    assert draft.options == SearchOptions(7, multivariate=True, history_window=99)
    assert draft.objectives == (
        Objective("score", False, Expression("sharpe_ratio - max_drawdown_ratio")),
    )
    assert draft.pruning == PruningRule(
        PruningKind.PERCENTILE, kept_percent=25.0, rung_bar_counts=(5, 9)
    )
    assert draft.limits == Limits(50, 1001, 9, 0.0)
    assert draft.trial_timeout_ms == 30_000
    assert draft.starting_points == ({"c": "y", "a": 3},)


def test_options_of_populations() -> None:
    """CMA-ES has a step, the genetic ones an algorithm."""
    adapted = draft_of(spec(cma_es={"trial_count": 5, "initial_sigma_ratio": 0.5}))
    bred = draft_of(spec(evolutionary={"trial_count": 5, "algorithm": "ALGORITHM_NSGA_III"}))

    assert adapted.options == SearchOptions(population_size=6, initial_sigma_ratio=0.5)
    assert bred.options == SearchOptions(population_size=50, nsga3=True)
    assert (adapted.search, bred.search) == (SearchKind.CMA_ES, SearchKind.EVOLUTIONARY)


def test_rungs_and_points_are_pinned_once_they_are_known() -> None:
    """The bars of the window give the rungs, the space the trials of a brute force."""
    filled = spec(brute_force={}, pruning={"successive_halving": {}})
    plan = reachable_plan(filled, 10_000)
    pin_counts(filled, plan, 800)

    assert plan.trial_count == filled.brute_force.trial_count == 9 * 5 * 2
    assert list(filled.pruning.rung_bar_counts) == [50, 200]
    again = plan_of(filled)
    assert again.pruning is not None
    assert again.pruning.rung_bar_counts == (50, 200)
    with pytest.raises(AssayError, match="below the window's 200 bars"):
        pin_counts(filled, again, 200)


def test_a_brute_force_cannot_have_more_trials_than_points() -> None:
    """Nor more points than a study may have trials."""
    with pytest.raises(AssayError, match=r"brute_force\.trial_count: must be 1 to 90"):
        reachable_plan(spec(brute_force={"trial_count": 91}), 10_000)
    with pytest.raises(AssayError) as caught:
        reachable_plan(spec(brute_force={"trial_count": 5}), 89)
    assert caught.value.reason == "GRID_TOO_LARGE"
    assert reachable_plan(spec(brute_force={"trial_count": 5}), 90).trial_count == 5


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"evolutionary": {"trial_count": 5, "algorithm": 9}}, {"evolutionary.algorithm"}),
        ({"brute_force": {"trial_count": 0}}, {"brute_force.trial_count"}),
        ({"grid": {}, "pruning": {}}, {"pruning.rule"}),
        (
            {"grid": {}, "warm_start": {"studies": ["studies/x"]}},
            {"warm_start"},
        ),
        (
            {
                "bayesian": {},
                "warm_start": {
                    "studies": ["x"],
                    "trial_limit": 10_001,
                    "trials_digests": ["ab", "cd"],
                },
            },
            {
                "warm_start.studies[0]",
                "warm_start.trial_limit",
                "warm_start.trials_digests",
                "warm_start.trials_digests[0]",
                "warm_start.trials_digests[1]",
            },
        ),
        ({"bayesian": {}, "warm_start": {}}, {"warm_start.studies"}),
        (
            {"bayesian": {}, "warm_start": {"studies": ["studies/x"] * 11}},
            {"warm_start.studies"},
        ),
    ],
)
def test_what_the_core_does_not_see_is_checked_too(
    changes: dict[str, Any], fields: set[str]
) -> None:
    """At its field."""
    assert {one.field for one in spec_violations(spec(**changes))} == {
        f"spec.{field}" for field in fields
    }


def test_a_duration_that_is_none_is_refused() -> None:
    """Signs that differ, and more than ten thousand years."""
    filled = spec(grid={})
    filled.stop_rule.max_duration.seconds = 10**12
    filled.trial_timeout.seconds, filled.trial_timeout.nanos = 5, -5

    assert [one.field for one in spec_violations(filled)] == [
        "spec.stop_rule.max_duration",
        "spec.trial_timeout",
    ]


def test_parts_of_a_millisecond_count_as_one() -> None:
    """So that no duration above 0 becomes 0."""
    filled = spec(grid={}, stop_rule={"max_duration": "0.000000001s"})

    assert milliseconds_of(filled.stop_rule.max_duration) == 1
    assert limits_of(3, filled.stop_rule) == Limits(3, max_duration_ms=1)


@pytest.mark.parametrize(
    "limits", [Limits(5), Limits(5, 1500), Limits(5, None, 9), Limits(5, None, None, 0.0)]
)
def test_limits_survive_the_wire(limits: Limits) -> None:
    """A rule without fields is no rule."""
    message = limits_message(limits)

    assert limits_of(message.trial_count, message.stop_rule) == limits
    assert message.HasField("stop_rule") == (limits != Limits(5))


def test_limits_are_changed_field_by_field_and_the_rule_as_a_whole() -> None:
    """What is unset stays, what is unset in a given rule is off."""
    plan, old = plan_of(spec(random={"trial_count": 50})), Limits(50, 1000, 9)
    rule = study_pb2.StopRule(target_value=1.5)

    def updated(**request: Any) -> Limits:
        return updated_limits(pb.UpdateStudyLimitsRequest(**request), plan, old, 20, 10_000)

    assert updated() == old
    assert updated(trial_count=20) == Limits(20, 1000, 9)
    assert updated(stop_rule=rule) == Limits(50, target_value=1.5)
    assert updated(stop_rule=study_pb2.StopRule(), trial_count=60) == Limits(60)


@pytest.mark.parametrize(
    ("request_fields", "changes", "field"),
    [
        ({"trial_count": 19}, {}, "trial_count"),
        ({"trial_count": 10_001}, {}, "trial_count"),
        ({"trial_count": 90}, {"grid": {}}, "trial_count"),
        (
            {"stop_rule": study_pb2.StopRule(patience_trial_count=0)},
            {},
            "stop_rule.patience_trial_count",
        ),
        (
            {"stop_rule": study_pb2.StopRule(target_value=1)},
            {"objectives": TWO},
            "stop_rule.target_value",
        ),
    ],
)
def test_limits_that_cannot_be_are_refused(
    request_fields: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    """At the request's own field."""
    search: dict[str, Any] = {} if "grid" in changes else {"random": {"trial_count": 50}}
    plan = plan_of(spec(**search, **changes))
    with pytest.raises(AssayError) as caught:
        updated_limits(pb.UpdateStudyLimitsRequest(**request_fields), plan, Limits(50), 20, 10_000)
    assert [one.field for one in caught.value.violations] == [field]


def test_studies_are_counted_under_their_dataset_and_strategy() -> None:
    """A definition goes by the digest of its text."""
    written = spec(grid={}, strategy={"definition": {"enter_long": "close > 1"}})
    text = written.strategy.definition.SerializeToString(deterministic=True)

    assert ledger_key_of(spec(grid={})).strategy == "strategies/ma_crossover"
    assert ledger_key_of(written).dataset == "datasets/x"
    assert ledger_key_of(written).strategy == f"definitions/{hashlib.sha256(text).hexdigest()}"


def test_a_rerun_has_no_spec_of_its_own() -> None:
    """And names a study."""
    both = pb.CreateStudyRequest(rerun_of="studies/x", spec=spec(grid={}))

    assert [one.field for one in id_violations(both)] == ["rerun_of"]
    assert [one.field for one in id_violations(pb.CreateStudyRequest(rerun_of="x"))] == ["rerun_of"]
    assert id_violations(pb.CreateStudyRequest(rerun_of="studies/x")) == []
