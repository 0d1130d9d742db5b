"""Studies over several data, by real RPCs, with a worker whose earnings depend on the dataset."""

# ruff: noqa: N802 - the contract gives the names

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import Code
from tests.service.optimizer.scripted_worker import ScriptedWorker, refusal

SYMBOLS = [f"datasets/bybit.linear.{name}usdt.1h" for name in ("btc", "eth", "xrp")]
MALUS = dict(zip(SYMBOLS, (0.0, 0.5, -0.25), strict=True))

Batch = backtest_service_pb2.RunBacktestBatchRequest
Refused = Callable[[Any], Any]


class SymbolWorker(ScriptedWorker):
    """Earns less by each dataset's malus, and keeps what was asked of which."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Batch] = []
        self.missing: set[str] = set()

    async def RunBacktestBatch(self, request: Batch, context: Any) -> Any:
        """Refuse datasets that are missing."""
        self.asked.append(request)
        if request.snapshot.dataset in self.missing:
            raise refusal(Code.NOT_FOUND, "DATASET_UNKNOWN", "data.assay")
        return await super().RunBacktestBatch(request, context)

    def _response(self, request: Batch, sets: Any) -> Any:
        response = super()._response(request, sets)
        for column in response.columns:
            if column.metric == "sharpe_ratio":
                malus = MALUS[request.snapshot.dataset]
                column.values[:] = [value - malus for value in column.values]
        return response


@pytest.fixture
async def symbols(start: Any) -> Any:
    """Return an optimizer with such a worker."""
    return await start(SymbolWorker())


@pytest.fixture
def spec(random_spec: dict[str, Any]) -> dict[str, Any]:
    """Return 40 random trials over three symbols, judged by the worst."""
    data = [{"dataset": name} for name in SYMBOLS]
    return random_spec | {"data": data, "data_aggregation": {"rule": "RULE_WORST"}}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("RULE_WORST", min), ("RULE_MEDIAN", statistics.median), ("RULE_MEAN", statistics.fmean)],
)
async def test_a_trial_is_what_its_rule_makes_of_all_data(
    symbols: Any, spec: dict[str, Any], rule: str, expected: Callable[[list[float]], float]
) -> None:
    """And keeps what each of them says; the data are pinned one by one."""
    study = await symbols.finished(spec | {"data_aggregation": {"rule": rule}})
    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    assert [one.dataset for one in study.spec.data] == SYMBOLS
    assert {one.content_digest for one in study.spec.data} == {"ab" * 32}
    assert all(one.lookback_bar_count == 200 for one in study.spec.data)
    trials = await symbols.trials(study.name)
    assert len(trials) == 40
    for trial in trials:
        told = [one.objective_values[0] for one in trial.dataset_results]
        assert [one.dataset_index for one in trial.dataset_results] == [0, 1, 2]
        assert told[1] == pytest.approx(told[0] - 0.5)
        assert told[2] == pytest.approx(told[0] + 0.25)
        assert list(trial.objective_values) == [pytest.approx(expected(told), rel=1e-15)]
        assert trial.metrics.sharpe_ratio == trial.objective_values[0]
        assert trial.feasible == all(one.feasible for one in trial.dataset_results)
    best = max(trials, key=lambda one: one.objective_values[0] if one.feasible else -9e9)
    assert list(study.best_trials) == [best.name]
    # Each new point on each symbol, whose bars are counted.
    run = [trial for trial in trials if not trial.HasField("reused_trial_number")]
    assert study.progress.evaluated_bar_count == len(run) * 3 * 8_784


async def test_the_same_study_has_the_same_digest_and_a_rerun_too(
    symbols: Any, spec: dict[str, Any]
) -> None:
    """Another rule, or another order of the data, has another."""
    one = await symbols.finished(spec)
    answer = await symbols.stub.CreateStudy(pb.CreateStudyRequest(rerun_of=one.name), timeout=30)
    again = (await symbols.watch(answer.study.name))[-1].study_finished
    assert again.spec == one.spec
    assert again.trials_digest == one.trials_digest
    turned = await symbols.finished(spec | {"data": spec["data"][::-1]})
    assert turned.trials_digest != one.trials_digest


async def test_the_report_compares_and_counts_by_dataset(
    symbols: Any, spec: dict[str, Any]
) -> None:
    """One buy-and-hold and one ledger entry each; luck is told of one snapshot only."""
    study = await symbols.finished(spec)
    request = pb.GetStudyReportRequest(name=study.name)
    report = (await symbols.stub.GetStudyReport(request, timeout=30)).report
    assert len(report.dataset_buy_and_hold) == 3
    assert [one.dataset for one in report.dataset_ledger] == SYMBOLS
    assert {one.trial_count for one in report.dataset_ledger} == {40}
    assert not report.HasField("buy_and_hold")
    assert not report.HasField("ledger")
    assert not report.HasField("luck")
    assert report.importances[0].shares
    assert len(report.best_trials[0].dataset_results) == 3
    held = {one.snapshot.dataset for one in symbols.worker.runs}
    assert held == set(SYMBOLS)
    answer = await symbols.stub.ListLedgerEntries(pb.ListLedgerEntriesRequest())
    assert [one.dataset for one in answer.entries] == sorted(SYMBOLS)
    means = [one.mean_daily_sharpe_ratio for one in report.dataset_ledger]
    assert means[0] - means[1] == pytest.approx(0.5 / 365**0.5)


async def test_files_have_columns_for_each_of_the_data(symbols: Any, spec: dict[str, Any]) -> None:
    """With the objectives as in the list of trials, bit by bit."""
    study = await symbols.finished(spec)
    request = pb.ExportTrialsRequest(parent=study.name)
    answers = symbols.stub.ExportTrials(request, timeout=30)
    text = b"".join([answer.chunk async for answer in answers]).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    for row, trial in zip(rows, await symbols.trials(study.name), strict=True):
        for place, one in enumerate(trial.dataset_results):
            told = float(row[f"dataset.{place}.objective.sharpe_ratio"])
            assert told == one.objective_values[0]
            assert row[f"dataset.{place}.feasible"] == str(one.feasible).lower()
            assert row[f"dataset.{place}.failure_reason"] == ""


async def test_an_estimate_counts_all_data(symbols: Any, spec: dict[str, Any]) -> None:
    """Bars of all windows; every dataset is tried, and warned of by its name."""
    symbols.worker.missing_bar_count = 2
    answer = await symbols.estimate(spec)
    assert answer.estimate.bar_count == 3 * 8_784
    assert answer.estimate.trial_count == 40
    assert {one.snapshot.dataset for one in symbols.worker.asked} == set(SYMBOLS)
    warned = [told for told in answer.study.warnings if "2 bars are missing" in told]
    assert [told.partition(":")[0] for told in warned] == SYMBOLS


async def test_series_go_with_their_own_data(symbols: Any, spec: dict[str, Any]) -> None:
    """And are pinned beside them."""
    series = [{"funding": {"dataset": f"datasets/{place}.funding"}} for place in range(3)]
    spec["data_aggregation"] = {"rule": "RULE_MEAN", "series": series}
    study = await symbols.finished(spec)
    for request in symbols.worker.asked:
        place = SYMBOLS.index(request.snapshot.dataset)
        assert request.execution.funding.dataset == f"datasets/{place}.funding"
    pinned = study.spec.data_aggregation.series
    assert [one.funding.content_digest for one in pinned] == ["cd" * 32] * 3
    assert not study.spec.execution.HasField("funding")


async def test_all_that_is_wrong_is_told_at_once(
    symbols: Any, spec: dict[str, Any], refused: Refused
) -> None:
    """What does not go together with several data among it."""
    spec |= {
        "data": [*spec["data"], {"dataset": SYMBOLS[0]}, {"dataset": "datasets/x.4h"}],
        "data_aggregation": {"series": [{}]},
        "pruning": {"median": {}},
        "execution": {"mark": {"dataset": "datasets/m"}, "taker_fee_bps": -1},
    }
    error = await refused(symbols.create(spec))
    assert {one.field for one in error.violations} >= {
        "spec.data[3]",
        "spec.data[4].dataset",
        "spec.data_aggregation.rule",
        "spec.data_aggregation.series",
        "spec.execution.mark",
        "spec.execution.taker_fee_bps",
        "spec.pruning",
    }


async def test_missing_data_are_named(symbols: Any, spec: dict[str, Any], refused: Refused) -> None:
    """One by the data service's own error, several each by its place."""
    symbols.worker.missing = {SYMBOLS[1]}
    error = await refused(symbols.create(spec))
    assert (error.reason, error.domain) == ("DATASET_UNKNOWN", "data.assay")
    symbols.worker.missing = {SYMBOLS[0], SYMBOLS[2]}
    error = await refused(symbols.create(spec))
    assert [one.field for one in error.violations] == [
        "spec.data[0].dataset",
        "spec.data[2].dataset",
    ]


async def test_an_objective_undefined_on_one_fails_the_trial(
    symbols: Any, spec: dict[str, Any]
) -> None:
    """A set the worker cannot judge: every dataset says so, and the trial names them."""
    spec |= {
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 20, "high": 21}},
            {"name": "slow_period", "fixed_value": {"int_value": "20"}},
        ],
        "grid": {},
    }
    del spec["random"], spec["constraints"]
    study = await symbols.finished(spec)
    first, second = await symbols.trials(study.name)
    assert first.failure_reason == "OBJECTIVE_UNDEFINED"
    assert all(f"{name}: sharpe_ratio is undefined" in first.failure_message for name in SYMBOLS)
    assert {one.failure_reason for one in first.dataset_results} == {"OBJECTIVE_UNDEFINED"}
    assert second.state == study_pb2.Trial.STATE_COMPLETE
