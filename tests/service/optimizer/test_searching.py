"""Every search over real gRPC: what is tried, learnt from, given up, reused, and run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer
from tests.service.optimizer.scripted_worker import BAR_COUNT

Refused = Callable[[Any], Any]
COUNT = {"trial_count": 30}
SEARCHES: dict[str, dict[str, Any]] = {
    "random": {"random": COUNT, "generation_size": 8},
    "qmc": {"qmc": COUNT, "generation_size": 8},
    "bayesian": {"bayesian": {**COUNT, "startup_trial_count": 6}, "generation_size": 4},
    "cma_es": {"cma_es": {**COUNT, "population_size": 6}},
    "evolutionary": {"evolutionary": {**COUNT, "population_size": 8}},
    "brute_force": {"brute_force": COUNT, "generation_size": 8},
}


@pytest.fixture
def open_spec(random_spec: dict[str, Any]) -> dict[str, Any]:
    """Return a study without a search, constraints and generations."""
    return {
        key: value
        for key, value in random_spec.items()
        if key not in {"random", "generation_size", "constraints"}
    }


def points_of(trials: list[study_pb2.Trial]) -> list[str]:
    """Return the parameters of trials as text."""
    return ["; ".join(str(one) for one in trial.parameters) for trial in trials]


@pytest.mark.parametrize("search", SEARCHES)
async def test_a_search_finishes_its_trials_and_repeats_itself(
    optimizer: Optimizer, open_spec: dict[str, Any], search: str
) -> None:
    """A rerun of the stored spec has the same digest, and is counted beside the first."""
    first = await optimizer.finished(open_spec | SEARCHES[search], study_id="first")
    answer = await optimizer.stub.CreateStudy(
        pb.CreateStudyRequest(rerun_of=first.name, study_id="again"), timeout=30
    )
    again = (await optimizer.watch(answer.study.name))[-1].study_finished
    ledger = (await optimizer.stub.ListLedgerEntries(pb.ListLedgerEntriesRequest())).entries

    assert (first.state, first.stop_reason) == (study_pb2.Study.STATE_SUCCEEDED, "TRIAL_COUNT")
    assert first.progress.finished_trial_count == first.limits.trial_count == 30
    assert first.owner
    assert again.spec == first.spec
    assert again.trials_digest == first.trials_digest != ""
    assert [(one.study_count, one.trial_count) for one in ledger] == [(2, 60)]
    assert ledger[0].strategy == "strategies/ma_crossover"


async def test_a_rerun_is_a_request_like_any_other(
    optimizer: Optimizer, open_spec: dict[str, Any], refused: Refused
) -> None:
    """Idempotent, estimated, refused beside a spec or for a study that is not there."""
    await optimizer.finished(open_spec | SEARCHES["qmc"], study_id="first")
    create = optimizer.stub.CreateStudy
    request = pb.CreateStudyRequest(rerun_of="studies/first", request_id="once")
    one, two = await create(request), await create(request)
    estimate = await create(pb.CreateStudyRequest(rerun_of="studies/first", validate_only=True))
    both = await refused(
        create(pb.CreateStudyRequest(rerun_of="studies/first", spec=study_pb2.StudySpec()))
    )
    missing = await refused(create(pb.CreateStudyRequest(rerun_of="studies/frist")))

    assert one.study.name == two.study.name
    assert estimate.estimate.trial_count == 30
    assert [violation.field for violation in both.violations] == ["rerun_of"]
    assert (missing.code, missing.reason) == (Code.NOT_FOUND, "STUDY_UNKNOWN")
    assert "first" in missing.metadata["nearest"]


async def test_points_of_ones_own_come_first(
    optimizer: Optimizer, open_spec: dict[str, Any], refused: Refused
) -> None:
    """As trials 0, 1, ...; what is wrong with them is told at their places."""
    given = [
        {"name": "slow_period", "value": {"int_value": 33}},
        {"name": "fast_period", "value": {"int_value": 50}},
        {"name": "average", "value": {"category_value": "ema"}},
    ]
    points = [{"parameters": given}, {"parameters": [*given[1:], given[0]]}]
    study = await optimizer.finished(
        open_spec | SEARCHES["bayesian"] | {"starting_points": points}, study_id="begun"
    )
    trials = await optimizer.trials(study.name)
    bad = await refused(
        optimizer.create(
            open_spec | SEARCHES["random"] | {"starting_points": [{"parameters": given[1:]}]}
        )
    )

    values = {one.name: one.value for one in trials[0].parameters}
    assert values["slow_period"].int_value == 33
    assert [one.name for one in trials[0].parameters] == ["fast_period", "slow_period", "average"]
    assert trials[1].reused_trial_number == 0
    assert trials[1].metrics == trials[0].metrics
    assert study.progress.reused_trial_count >= 1
    assert study.progress.finished_trial_count == 30
    assert [one.field for one in bad.violations] == ["spec.starting_points[0].parameters"]


async def test_a_point_is_not_run_twice(optimizer: Optimizer, open_spec: dict[str, Any]) -> None:
    """Its later trials say whose outcome they have; workers saw each point once."""
    open_spec["parameters"][0]["int_range"] = {"low": 5, "high": 6}
    open_spec["parameters"][1]["int_range"] = {"low": 20, "high": 21}
    study = await optimizer.finished(open_spec | SEARCHES["random"])
    trials = await optimizer.trials(study.name)
    first: dict[str, int] = {}
    for trial, point in zip(trials, points_of(trials), strict=True):
        known = first.setdefault(point, trial.number)
        assert trial.HasField("reused_trial_number") == (known != trial.number)
        assert not trial.HasField("reused_trial_number") or trial.reused_trial_number == known

    assert len(first) <= 8
    assert sum(optimizer.worker.batches) == len(first)
    assert study.progress.reused_trial_count == 30 - len(first)
    assert study.progress.evaluated_bar_count == len(first) * BAR_COUNT


async def test_a_brute_force_tries_every_point_once(
    optimizer: Optimizer, open_spec: dict[str, Any], refused: Refused
) -> None:
    """In an order of its own; how many there are is echoed and cannot be exceeded."""
    open_spec["parameters"][0]["int_range"] = {"low": 5, "high": 9}
    open_spec["parameters"][1]["int_range"] = {"low": 20, "high": 23}
    study = await optimizer.finished(open_spec | {"brute_force": {}})
    points = points_of(await optimizer.trials(study.name))
    over = await refused(optimizer.create(open_spec | {"brute_force": {"trial_count": 41}}))
    more = await refused(
        optimizer.stub.UpdateStudyLimits(
            pb.UpdateStudyLimitsRequest(name=study.name, trial_count=41)
        )
    )

    assert study.spec.brute_force.trial_count == len(set(points)) == len(points) == 40
    assert points != sorted(points)
    assert [one.field for one in over.violations] == ["spec.brute_force.trial_count"]
    assert [one.field for one in more.violations] == ["trial_count"]


async def test_poor_trials_are_given_up_at_rungs(
    optimizer: Optimizer, open_spec: dict[str, Any]
) -> None:
    """The rungs are pinned; what is given up has no objective and is never best."""
    pruning = {"median": {}, "startup_trial_count": 6}
    study = await optimizer.finished(open_spec | SEARCHES["random"] | {"pruning": pruning})
    pruned = await optimizer.trials(study.name, state=study_pb2.Trial.STATE_PRUNED)
    complete = await optimizer.trials(study.name, state=study_pb2.Trial.STATE_COMPLETE)
    rungs = list(study.spec.pruning.rung_bar_counts)
    run = sum(trial.intermediate_values[-1].bar_count for trial in pruned)
    run += sum((sum(rungs) + BAR_COUNT) for _ in complete)

    assert rungs == [BAR_COUNT // 8, BAR_COUNT // 4]
    assert len(pruned) == study.progress.pruned_trial_count > 0
    assert all(not one.objective_values and not one.feasible for one in pruned)
    assert all(one.HasField("metrics") for one in pruned)
    assert all([value.bar_count for value in one.intermediate_values] == rungs for one in complete)
    assert 0 < study.progress.evaluated_bar_count < run + len(pruned) * BAR_COUNT
    best = max(complete, key=lambda one: (one.objective_values[0], -one.number))
    assert list(study.best_trials) == [best.name]


async def test_an_expression_over_metrics_is_an_objective(
    optimizer: Optimizer, open_spec: dict[str, Any]
) -> None:
    """Under the name it was given."""
    open_spec["objectives"] = [
        {"metric": "score", "expression": "sharpe_ratio - 2 * max_drawdown_ratio"}
    ]
    study = await optimizer.finished(open_spec | SEARCHES["bayesian"])
    trials = await optimizer.trials(study.name, state=study_pb2.Trial.STATE_COMPLETE)
    report = (await optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name))).report

    for trial in trials:
        metrics = trial.metrics
        wanted = metrics.sharpe_ratio - 2 * metrics.max_drawdown_ratio
        assert trial.objective_values[0] == pytest.approx(wanted, abs=1e-12)
    assert report.importances[0].metric == "score"


async def test_what_was_learnt_stays_when_the_earlier_study_goes(
    optimizer: Optimizer, open_spec: dict[str, Any], refused: Refused
) -> None:
    """Its digest is pinned; a rerun learns the same though nothing else is left of it."""
    earlier = await optimizer.finished(open_spec | SEARCHES["qmc"], study_id="earlier")
    learning = open_spec | SEARCHES["bayesian"]
    plain = await optimizer.finished(learning, study_id="plain")
    warm = learning | {"warm_start": {"studies": ["studies/earlier"]}}
    study = await optimizer.finished(warm, study_id="warm")
    wrong = {"studies": ["studies/earlier"], "trials_digests": ["0" * 64]}
    error = await refused(optimizer.create(learning | {"warm_start": wrong}))
    await optimizer.stub.DeleteStudy(pb.DeleteStudyRequest(name=earlier.name))
    gone = await refused(optimizer.create(warm))
    answer = await optimizer.stub.CreateStudy(pb.CreateStudyRequest(rerun_of=study.name))
    again = (await optimizer.watch(answer.study.name))[-1].study_finished

    assert list(study.spec.warm_start.trials_digests) == [earlier.trials_digest]
    assert study.spec.warm_start.trial_limit == 1000
    assert study.trials_digest != plain.trials_digest
    assert again.trials_digest == study.trials_digest
    assert [one.field for one in error.violations] == ["spec.warm_start.trials_digests[0]"]
    assert [one.field for one in gone.violations] == ["spec.warm_start.studies[0]"]


async def test_everything_wrong_with_a_search_is_told_at_once(
    optimizer: Optimizer, open_spec: dict[str, Any], refused: Refused
) -> None:
    """Of the search, its generations, pruning, limits, points, earlier studies and timeouts."""
    open_spec["objectives"] = [
        {"metric": "sharpe_ratio"},
        {"metric": "Score", "expression": "sharpe_ratio +"},
    ]
    error = await refused(
        optimizer.create(
            open_spec
            | {
                "cma_es": {"trial_count": 5, "population_size": 2, "initial_sigma_ratio": 2},
                "generation_size": 9,
                "pruning": {"percentile": {"kept_percent": 0}, "rung_bar_counts": ["9", "3"]},
                "stop_rule": {"patience_trial_count": "0", "target_value": 1, "max_duration": "0s"},
                "trial_timeout": "0.5s",
                "warm_start": {"studies": ["studies/none"], "trial_limit": 0},
                "starting_points": [{}],
            }
        )
    )

    assert {one.field for one in error.violations} == {
        "spec.objectives[1].metric",
        "spec.objectives[1].expression",
        "spec.cma_es",
        "spec.cma_es.population_size",
        "spec.cma_es.initial_sigma_ratio",
        "spec.generation_size",
        "spec.pruning",
        "spec.pruning.percentile.kept_percent",
        "spec.pruning.rung_bar_counts",
        "spec.stop_rule.patience_trial_count",
        "spec.stop_rule.target_value",
        "spec.stop_rule.max_duration",
        "spec.trial_timeout",
        "spec.warm_start.studies[0]",
        "spec.warm_start.trial_limit",
        "spec.starting_points[0].parameters",
    }
