"""Lists, pages, orders, best trials and the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer
from tests.service.optimizer.scripted_worker import refusal

Refused = Callable[[Any], Any]


async def test_studies_are_listed_newest_first_page_by_page(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """With their outcome, and only those of a state if wanted."""
    for number in range(5):
        await optimizer.finished(random_spec, study_id=f"study-{number}")
    optimizer.worker.close_gate()
    await optimizer.create(random_spec, study_id="running")
    await optimizer.worker.waiting.wait()
    names, token = [], ""
    while True:
        answer = await optimizer.stub.ListStudies(
            pb.ListStudiesRequest(
                page_size=2, page_token=token, state=study_pb2.Study.STATE_SUCCEEDED
            )
        )
        names += [study.name for study in answer.studies]
        assert all(study.progress.finished_trial_count == 40 for study in answer.studies)
        assert all(len(study.best_trials) == 1 for study in answer.studies)
        token = answer.next_page_token
        if not token:
            break
    every = await optimizer.stub.ListStudies(pb.ListStudiesRequest())
    optimizer.worker.gate.set()

    assert names == [f"studies/study-{number}" for number in (4, 3, 2, 1, 0)]
    assert [study.name for study in every.studies] == ["studies/running", *names]
    assert every.studies[0].progress.total_trial_count == 40


async def test_trials_are_ordered_and_paged_as_asked(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """By any metric, both ways, the pages together being the whole."""
    study = await optimizer.finished(random_spec)
    whole = await optimizer.trials(study.name, order_by="sharpe_ratio desc")
    found: list[study_pb2.Trial] = []
    token = ""
    while True:
        answer = await optimizer.stub.ListTrials(
            pb.ListTrialsRequest(
                parent=study.name, page_size=7, page_token=token, order_by="sharpe_ratio desc"
            )
        )
        found += answer.trials
        assert answer.total_count == 40
        token = answer.next_page_token
        if not token:
            break
    rising = await optimizer.trials(study.name, order_by="trade_count")
    falling_numbers = await optimizer.trials(study.name, order_by="number desc")

    assert found == whole
    keys = [(-trial.metrics.sharpe_ratio, trial.number) for trial in whole]
    assert keys == sorted(keys)
    rising_keys = [(trial.metrics.trade_count, trial.number) for trial in rising]
    assert rising_keys == sorted(rising_keys)
    assert [trial.number for trial in falling_numbers] == list(range(39, -1, -1))


async def test_trials_without_the_metric_come_last(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """Both ways, by rising number; and failed trials can be listed alone."""
    study = await optimizer.finished(grid_spec | {"constraints": []})
    failed = await optimizer.trials(study.name, state=study_pb2.Trial.STATE_FAILED)
    numbers = [trial.number for trial in failed]

    assert len(numbers) == 2
    for order_by in ("sharpe_ratio", "sharpe_ratio desc"):
        trials = await optimizer.trials(study.name, order_by=order_by)
        assert [trial.number for trial in trials[-2:]] == numbers


async def test_the_best_of_one_objective_fall_in_merit(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Only feasible ones; ten by default."""
    study = await optimizer.finished(random_spec)
    answer = await optimizer.stub.ListBestTrials(pb.ListBestTrialsRequest(parent=study.name))
    trials = await optimizer.trials(study.name)
    feasible = [trial for trial in trials if trial.feasible]
    wanted = sorted(feasible, key=lambda trial: (-trial.objective_values[0], trial.number))

    assert list(answer.trials) == wanted[:10]
    assert study.best_trials == [wanted[0].name]
    assert answer.next_page_token


async def test_the_best_of_several_objectives_are_the_pareto_front(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """By rising number, as brute force finds it."""
    random_spec["objectives"] = [
        {"metric": "sharpe_ratio"},
        {"metric": "max_drawdown_ratio", "direction": "DIRECTION_MINIMIZE"},
    ]
    study = await optimizer.finished(random_spec)
    answer = await optimizer.stub.ListBestTrials(
        pb.ListBestTrialsRequest(parent=study.name, page_size=1000)
    )
    feasible = [trial for trial in await optimizer.trials(study.name) if trial.feasible]

    def beaten(one: study_pb2.Trial) -> bool:
        sharpe, drawdown = one.objective_values
        return any(
            other.objective_values[0] >= sharpe
            and other.objective_values[1] <= drawdown
            and list(other.objective_values) != [sharpe, drawdown]
            for other in feasible
        )

    front = [trial for trial in feasible if not beaten(trial)]
    assert list(answer.trials) == front
    assert study.best_trials == [trial.name for trial in front]
    assert len(front) > 1


async def test_a_token_belongs_to_its_request(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Another order, study or method refuses it; so does rubbish."""
    study = await optimizer.finished(random_spec)
    stub, parent = optimizer.stub, study.name
    answer = await stub.ListTrials(pb.ListTrialsRequest(parent=parent, page_size=5))
    token = answer.next_page_token
    good = await stub.ListTrials(pb.ListTrialsRequest(parent=parent, page_size=9, page_token=token))
    errors = [
        await refused(stub.ListTrials(request))
        for request in (
            pb.ListTrialsRequest(parent=parent, page_token=token, order_by="number desc"),
            pb.ListTrialsRequest(parent="studies/other", page_token=token),
            pb.ListTrialsRequest(parent=parent, page_token=token[:-4]),
            pb.ListTrialsRequest(parent=parent, page_token="?"),
        )
    ]
    errors.append(
        await refused(
            stub.ListBestTrials(pb.ListBestTrialsRequest(parent=parent, page_token=token))
        )
    )

    assert [trial.number for trial in good.trials] == list(range(5, 14))
    assert [[one.field for one in error.violations] for error in errors] == [["page_token"]] * 5


@pytest.mark.parametrize("method", ["ListStudies", "ListTrials", "ListBestTrials"])
async def test_a_negative_page_size_is_refused(
    method: str, optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """By every method with pages."""
    study = await optimizer.finished(random_spec)
    request = getattr(pb, f"{method}Request")(page_size=-1)
    if method != "ListStudies":
        request.parent = study.name
    error = await refused(getattr(optimizer.stub, method)(request))

    assert [one.field for one in error.violations] == ["page_size"]


async def test_bad_orders_and_filters_are_refused_together(
    optimizer: Optimizer, refused: Refused
) -> None:
    """With the nearest metric."""
    error = await refused(
        optimizer.stub.ListTrials(
            pb.ListTrialsRequest(parent="x", order_by="sharp_ratio", page_size=-1, state=9)  # type: ignore[arg-type]
        )
    )
    words = {one.field: one.description for one in error.violations}
    direction = await refused(
        optimizer.stub.ListTrials(pb.ListTrialsRequest(parent="studies/x", order_by="number asc"))
    )
    state = await refused(optimizer.stub.ListStudies(pb.ListStudiesRequest(state=77)))  # type: ignore[arg-type]

    assert set(words) == {"parent", "order_by", "page_size", "state"}
    assert "did you mean 'sharpe_ratio'" in words["order_by"]
    assert [one.field for one in direction.violations] == ["order_by"]
    assert [one.field for one in state.violations] == ["state"]


async def test_the_report_compares_with_buy_and_hold_at_the_same_costs(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """Long, all in, without stops, targets or leverage, on the pinned candles and funding."""
    grid_spec["execution"] = {
        "taker_fee_bps": 7,
        "slippage_bps": 2,
        "position_fraction_ratio": 0.5,
        "stop_loss_ratio": 0.02,
        "take_profit_ratio": 0.1,
        "trailing_stop_ratio": 0.03,
        "trailing_activation_ratio": 0.01,
        "leverage": 5,
        "liquidation_fee_bps": 10,
        "risk_tiers": [{"maintenance_margin_ratio": 0.01}],
        "max_entry_count": 3,
        "size_on_initial_capital": True,
        "slippage_ticks": 1,
        "instrument": {"tick_size_quote": 0.1},
        "funding": {"dataset": "datasets/bybit.linear.btcusdt.funding"},
        "detail": {"dataset": "datasets/bybit.linear.btcusdt.1m"},
    }
    grid_spec["strategy"]["direction"] = "DIRECTION_SHORT"
    study = await optimizer.finished(grid_spec)
    report = (await optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name))).report
    (request,) = optimizer.worker.runs
    execution = request.execution

    assert report.buy_and_hold.total_return_ratio == 1.2
    assert request.strategy.name == "strategies/buy_and_hold"
    assert request.snapshot == study.spec.data[0]
    assert (execution.taker_fee_bps, execution.slippage_bps) == (7, 2)
    assert {field.name for field, _ in execution.ListFields()} == {
        "initial_capital_quote",
        "taker_fee_bps",
        "slippage_bps",
        "slippage_ticks",
        "instrument",
        "funding",
    }
    assert execution.funding == study.spec.execution.funding
    assert report.study == study


async def test_the_report_tells_best_importance_edges_and_history(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """A grid that ends at its best point says so; one that goes on beyond it does not."""
    study = await optimizer.finished(grid_spec | {"generation_size": 10})
    inner = (await optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name))).report
    grid_spec["parameters"][1]["int_range"] = {"low": 20, "high": 100, "step": 20}
    study = await optimizer.finished(grid_spec)
    outer = (await optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name))).report

    best = {one.name: one.value.int_value for one in inner.best_trials[0].parameters}
    assert best == {"fast_period": 15, "slow_period": 100}
    assert len(inner.best_trials) == 90
    assert list(inner.parameters_at_edge) == []
    assert list(outer.parameters_at_edge) == ["slow_period"]
    assert len(inner.best_value_history) == 9
    assert list(inner.best_value_history) == sorted(inner.best_value_history)
    assert inner.best_value_history[-1] == inner.best_trials[0].objective_values[0]
    (importance,) = inner.importances
    assert (importance.metric, importance.evaluator) == ("sharpe_ratio", "PED-ANOVA")
    assert sum(share.share_ratio for share in importance.shares) == pytest.approx(1)


async def test_a_report_needs_workers(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Without them it is UNAVAILABLE; what needs none still answers."""
    study = await optimizer.finished(random_spec)
    optimizer.worker.probe_failure = refusal(Code.UNAVAILABLE, "WORKER_BUSY")
    error = await refused(optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name)))

    assert (error.code, error.reason) == (Code.UNAVAILABLE, "NO_WORKERS")
    assert len(await optimizer.trials(study.name)) == 40
