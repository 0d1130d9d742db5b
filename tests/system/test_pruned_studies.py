"""Pruning on real workers: the same best trial for fewer bars, and every trial a plain backtest."""

from typing import Any

import pytest
from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import study_pb2

RULES: dict[str, dict[str, Any]] = {
    "median": {"median": {}},
    "percentile": {"percentile": {"kept_percent": 40}},
    "halving": {"successive_halving": {}},
}


@pytest.fixture(scope="module")
def system(start_shared_system: Any) -> Any:
    """Start two workers."""
    return start_shared_system(workers=2)


@pytest.fixture
def random_spec(bayesian_spec: dict[str, Any]) -> dict[str, Any]:
    """Return a random search of 240 trials over smooth ground."""
    spec = {key: value for key, value in bayesian_spec.items() if key != "bayesian"}
    return spec | {
        "random": {"trial_count": 240},
        "generation_size": 24,
        "objectives": [{"metric": "total_return_ratio"}],
    }


@pytest.mark.parametrize("rule", RULES)
def test_a_pruned_study_finds_the_same_best_for_fewer_bars(
    rule: str, system: Any, random_spec: dict[str, Any]
) -> None:
    """The report of both studies says how many bars each has run."""
    plain = system.watch(system.create(f"plain-{rule}", random_spec).name)
    pruned = system.watch(
        system.create(f"pruned-{rule}", random_spec | {"pruning": RULES[rule]}).name
    )
    trials = system.trials(pruned.name)
    same = dict(zip(pruned.best_trials, plain.best_trials, strict=True))

    assert plain.progress.evaluated_bar_count == 4368 * (240 - plain.progress.reused_trial_count)
    assert pruned.progress.evaluated_bar_count < 0.9 * plain.progress.evaluated_bar_count
    assert pruned.progress.finished_trial_count == 240
    assert pruned.progress.pruned_trial_count > 60
    assert [name.rpartition("/")[2] for name in same] == [
        name.rpartition("/")[2] for name in same.values()
    ]
    assert_replays(system, pruned, [trial for trial in trials if trial.number % 7 == 0])


def assert_replays(system: Any, study: study_pb2.Study, trials: list[study_pb2.Trial]) -> None:
    """Run trials alone, pruned ones as far as they came, and compare their metrics."""
    states = set()
    for trial in trials:
        states.add(trial.state)
        request = backtest_service_pb2.RunBacktestRequest(
            snapshot=study.spec.data[0],
            strategy=study.spec.strategy,
            execution=study.spec.execution,
            parameters=trial.parameters,
        )
        if trial.state == study_pb2.Trial.STATE_PRUNED:
            request.bar_limit = trial.intermediate_values[-1].bar_count
        answer = system.backtest_stub.RunBacktest(request, timeout=60)
        assert answer.metrics.SerializeToString(deterministic=True) == (
            trial.metrics.SerializeToString(deterministic=True)
        )
    assert states >= {study_pb2.Trial.STATE_PRUNED, study_pb2.Trial.STATE_COMPLETE}
