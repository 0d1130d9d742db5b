"""Files of trials, pages of them, the ledger and reports, over real gRPC."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from tests.service.optimizer.conftest import Optimizer

Refused = Callable[[Any], Any]


async def exported(optimizer: Optimizer, name: str, form: Any) -> bytes:
    """Return the file of a study's trials."""
    request = pb.ExportTrialsRequest(parent=name, format=form)
    return b"".join(
        [answer.chunk async for answer in optimizer.stub.ExportTrials(request, timeout=30)]
    )


async def test_a_file_has_the_bits_of_every_trial(
    optimizer: Optimizer, grid_spec: dict[str, Any]
) -> None:
    """As CSV, JSON lines and Parquet; what is undefined is empty or left out."""
    study = await optimizer.finished(grid_spec | {"constraints": []})
    trials = await optimizer.trials(study.name)
    form = pb.ExportTrialsRequest
    table = list(
        csv.DictReader(io.StringIO((await exported(optimizer, study.name, 0)).decode(), newline=""))
    )
    lines = (await exported(optimizer, study.name, form.FORMAT_JSON_LINES)).decode().splitlines()
    parquet = await exported(optimizer, study.name, form.FORMAT_PARQUET)

    assert len(table) == len(lines) == len(trials) == 100
    assert (parquet[:4], parquet[-4:]) == (b"PAR1", b"PAR1")
    for trial, row, line in zip(trials, table, map(json.loads, lines), strict=True):
        fast = {one.name: one.value.int_value for one in trial.parameters}["fast_period"]
        assert int(row["number"]) == line["number"] == trial.number
        assert int(row["parameter.fast_period"]) == line["parameter.fast_period"] == fast
        if trial.state == study_pb2.Trial.STATE_COMPLETE:
            (value,) = trial.objective_values
            assert float(row["objective.sharpe_ratio"]) == line["objective.sharpe_ratio"] == value
        else:
            assert row["objective.sharpe_ratio"] == ""
            assert "objective.sharpe_ratio" not in line


async def test_a_file_nobody_can_have_is_refused(optimizer: Optimizer, refused: Refused) -> None:
    """With every wrong field."""

    async def first(request: pb.ExportTrialsRequest) -> Any:
        return await refused(anext(aiter(optimizer.stub.ExportTrials(request))))

    wrong = await first(pb.ExportTrialsRequest(parent="x", format=9))  # type: ignore[arg-type]
    missing = await first(pb.ExportTrialsRequest(parent="studies/x"))

    assert {one.field for one in wrong.violations} == {"parent", "format"}
    assert missing.reason == "STUDY_UNKNOWN"


@pytest.mark.parametrize("order_by", ["", "number desc", "trade_count", "sharpe_ratio desc"])
async def test_pages_in_every_order_are_the_list(
    optimizer: Optimizer, random_spec: dict[str, Any], order_by: str
) -> None:
    """Each trial once; each page says how many there are."""
    study = await optimizer.finished(random_spec)
    whole = await optimizer.trials(study.name, order_by=order_by)
    found: list[study_pb2.Trial] = []
    request = pb.ListTrialsRequest(parent=study.name, order_by=order_by, page_size=7)
    while True:
        answer = await optimizer.stub.ListTrials(request)
        found += answer.trials
        assert answer.total_count == 40
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token

    assert found == whole
    assert len({trial.number for trial in found}) == 40
    if order_by == "number desc":
        assert [trial.number for trial in found] == list(range(39, -1, -1))


async def test_a_running_study_lists_what_is_stored(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """The count, the pages and the best are of the same trials."""
    study = await optimizer.create(random_spec)
    events = optimizer.stub.WatchStudy(pb.WatchStudyRequest(name=study.name))
    async for answer in events:
        if answer.event.HasField("generation_finished"):
            optimizer.worker.close_gate()
            break
    listed = await optimizer.stub.ListTrials(
        pb.ListTrialsRequest(parent=study.name, page_size=1000)
    )
    best = await optimizer.stub.ListBestTrials(pb.ListBestTrialsRequest(parent=study.name))
    optimizer.worker.gate.set()
    await optimizer.watch(study.name)

    assert len(listed.trials) == listed.total_count
    assert listed.total_count >= 8
    assert all(one.feasible for one in best.trials)


async def test_the_ledger_outlives_its_studies(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """It is listed for a dataset or a strategy, in pages, and stands in every report."""
    study = await optimizer.finished(random_spec)
    ledger = optimizer.stub.ListLedgerEntries
    (entry,) = (await ledger(pb.ListLedgerEntriesRequest())).entries
    report = (await optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name))).report
    await optimizer.stub.DeleteStudy(pb.DeleteStudyRequest(name=study.name))
    kept = await ledger(
        pb.ListLedgerEntriesRequest(dataset=entry.dataset, strategy=entry.strategy, page_size=1)
    )
    none = await ledger(pb.ListLedgerEntriesRequest(dataset="datasets/other"))
    wrong = await refused(
        ledger(pb.ListLedgerEntriesRequest(dataset="x", strategy="definitions/x", page_size=-1))
    )

    assert entry.trial_count == 40
    assert entry.evaluated_trial_count == 40 - study.progress.reused_trial_count
    assert report.ledger == entry
    assert list(kept.entries) == [entry]
    assert not kept.next_page_token
    assert not none.entries
    assert {one.field for one in wrong.violations} == {"dataset", "strategy", "page_size"}


async def test_a_report_of_several_objectives_tells_their_trade_offs(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """The front, its knee, and a dominated volume that never falls."""
    random_spec["objectives"] = [
        {"metric": "sharpe_ratio"},
        {"metric": "max_drawdown_ratio", "direction": "DIRECTION_MINIMIZE"},
    ]
    study = await optimizer.finished(random_spec)
    report = (await optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name))).report
    volumes = list(report.pareto.hypervolume_history)

    assert [one.trial for one in report.pareto.trade_offs] == list(study.best_trials)
    assert report.pareto.knee_trial in study.best_trials
    assert volumes == sorted(volumes)
    assert not report.freeze_suggestions


async def test_importance_is_judged_as_asked(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """By f-ANOVA on request, beside what chance gives; unknown ways are refused."""
    study = await optimizer.finished(random_spec)
    form = pb.GetStudyReportRequest
    report = optimizer.stub.GetStudyReport
    slow = await report(
        form(name=study.name, importance_evaluator=form.IMPORTANCE_EVALUATOR_F_ANOVA)
    )
    wrong = await refused(report(form(name="x", importance_evaluator=9)))  # type: ignore[arg-type]

    assert slow.report.importances[0].evaluator == "F-ANOVA"
    assert {one.field for one in wrong.violations} == {"name", "importance_evaluator"}
