"""Walk-forward matrices over the wire: what is pinned, refused and reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2, walk_forward_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer, StartOptimizer
from tests.service.optimizer.earning_worker import EarningWorker

MATRIX = {"in_samples": [{"days": 120}, {"days": 90}], "steps": [{"days": 60}, {"days": 30}]}
WALK = {"matrix": MATRIX, "out_of_sample": {"days": 60}}


@pytest.fixture
def spec(random_spec: dict[str, Any]) -> dict[str, Any]:
    """Return a matrix through 2024 of 6 trials per window."""
    return random_spec | {"random": {"trial_count": 6}, "walk_forward": WALK}


@pytest.fixture
async def earning(start: StartOptimizer) -> Optimizer:
    """Return an optimizer whose walks earn out of sample."""
    started: Optimizer = await start(worker=EarningWorker())
    return started


async def report(optimizer: Optimizer, name: str, **request: Any) -> study_pb2.StudyReport:
    """Return a study's report."""
    answer = await optimizer.stub.GetStudyReport(
        pb.GetStudyReportRequest(name=name, **request), timeout=30
    )
    return answer.report


async def test_all_cells_are_one_study(optimizer: Optimizer, spec: dict[str, Any]) -> None:
    """4, 7, 4 and 8 windows one after the other; each trial is of one of them."""
    study = await optimizer.finished(spec)
    walk, trials = study.spec.walk_forward, await optimizer.trials(study.name)

    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    assert Counter(one.cell_number for one in walk.windows) == {0: 4, 1: 7, 2: 4, 3: 8}
    assert [one.cell_number for one in walk.windows] == sorted(
        one.cell_number for one in walk.windows
    )
    assert [one.number for one in walk.windows] == list(range(23))
    assert [trial.window_number for trial in trials] == [number % 23 for number in range(6 * 23)]
    assert not walk.HasField("in_sample")
    assert not walk.HasField("step")
    assert walk.matrix.steps[1].days == 30


async def test_equal_spans_are_pinned_and_run_once(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """Windows of different cells with the same bars choose the same, which runs once."""
    study = await optimizer.finished(spec)
    windows = study.spec.walk_forward.windows
    spans = {
        one.snapshot.SerializeToString()
        for window in windows
        for one in (window.in_sample, window.out_of_sample)
    }
    # Every window has an in-sample span of its own and shares out-of-sample spans, but for cells
    # 0 and 1 and cells 2 and 3, whose windows 60 days apart are the same.
    assert len(optimizer.worker.probes) == 1 + len(spans)
    assert len(spans) < 2 * len(windows)
    assert all(len(one.in_sample.snapshot.content_digest) == 64 for one in windows)

    trials = {one.name: one for one in await optimizer.trials(study.name)}
    chosen = {
        (
            window.out_of_sample.snapshot.SerializeToString(),
            tuple(one.SerializeToString() for one in trials[name].parameters),
        )
        for window, name in zip(windows, study.best_trials, strict=True)
    }
    assert len(optimizer.worker.runs) == len(chosen) < len(windows)
    by_span: dict[bytes, set[tuple[bytes, ...]]] = {}
    for window, name in zip(windows, study.best_trials, strict=True):
        found = tuple(one.SerializeToString() for one in trials[name].parameters)
        by_span.setdefault(window.in_sample.snapshot.SerializeToString(), set()).add(found)
    assert {len(found) for found in by_span.values()} == {1}


async def test_a_cell_reports_what_its_walk_alone_would(
    earning: Optimizer, spec: dict[str, Any]
) -> None:
    """Cell 0 of the matrix is the first walk of its study: same windows, seeds and report."""
    matrix = await earning.finished(spec)
    told = await report(earning, matrix.name)
    alone = {"in_sample": {"days": 120}, "out_of_sample": {"days": 60}}
    single = await earning.finished(spec | {"walk_forward": alone})
    wanted = (await report(earning, single.name)).walk_forward

    assert not told.HasField("walk_forward")
    cell = told.walk_forward_matrix.cells[0]
    assert (cell.in_sample.days, cell.out_of_sample.days, cell.step.days) == (120, 60, 60)
    for window in (*cell.report.windows, *wanted.windows):
        window.winner = ""
    for one in (cell.report, wanted):
        del one.stitched_curve.time_ms[:]
        del one.stitched_curve.reset_equity_quote[:]
        del one.stitched_curve.compounded_equity_quote[:]
    assert cell.report == wanted


async def test_the_matrix_says_what_its_cells_come_to(
    earning: Optimizer, spec: dict[str, Any]
) -> None:
    """Best, median and worst cell, how many passed, and the neighbours of the best."""
    study = await earning.finished(spec)
    told = await report(earning, study.name)
    matrix = told.walk_forward_matrix

    curves = [cell.report.stitched_curve.reset for cell in matrix.cells]
    sharpes = [curve.sharpe_ratio for curve in curves]
    assert [cell.number for cell in matrix.cells] == [0, 1, 2, 3]
    assert matrix.by_sharpe.best_cell_number == sharpes.index(max(sharpes))
    assert matrix.by_sharpe.worst_value == min(sharpes)
    assert (
        matrix.by_total_return.median_value
        == sorted(curve.total_return_ratio for curve in curves)[1]
    )
    passed = [cell.report.passed for cell in matrix.cells]
    assert matrix.passed_cell_count == sum(passed)
    others = [number for number in range(4) if number != matrix.by_sharpe.best_cell_number]
    assert list(matrix.neighbor_cell_numbers) == others
    assert matrix.plateau == all(passed)
    assert [len(cell.report.stitched_curve.time_ms) for cell in matrix.cells] == [500] * 4
    assert [one.number for one in matrix.cells[1].report.windows] == list(range(4, 11))
    # Spans 30 days apart and 60 long overlap.
    assert [cell.report.overlapping_oos for cell in matrix.cells] == [False, True, False, True]


async def test_luck_is_told_of_the_best_cell(earning: Optimizer, spec: dict[str, Any]) -> None:
    """Chosen from four walks; its own windows are looked at, in sample."""
    study = await earning.finished(spec)
    told = await report(earning, study.name)
    best = told.walk_forward_matrix.cells[told.walk_forward_matrix.by_sharpe.best_cell_number]

    assert told.luck.trial == ""
    assert told.luck.walk_count == 4
    assert told.luck.daily_sharpe_ratio == pytest.approx(
        best.report.stitched_curve.reset.sharpe_ratio / 365**0.5
    )
    assert told.luck.day_count == best.report.stitched_curve.reset.day_count
    assert told.luck.trade_count == 9 * len(best.report.windows)
    assert told.luck.walk_deflated_sharpe_ratio < told.luck.probabilistic_sharpe_ratio
    numbers = [one.number for one in best.report.windows]
    assert [one.window_number for one in told.luck.overfitting.windows] == numbers
    kinds = {one.kind for one in told.luck.warnings}
    overlap = study_pb2.LuckWarning.KIND_OVERLAPPING_OOS
    assert (overlap in kinds) == best.report.overlapping_oos


async def test_what_to_do_is_said_of_the_best_cell(
    earning: Optimizer, spec: dict[str, Any]
) -> None:
    """Its latest winner is a choice; whether its walk is passed is a reason."""
    study = await earning.finished(spec)
    told = await report(earning, study.name)
    best = told.walk_forward_matrix.cells[told.walk_forward_matrix.by_sharpe.best_cell_number]

    assert told.recommendation.choices[0].trial == best.report.windows[-1].winner
    words = "is passed" if best.report.passed else "is not passed"
    assert any(words in one.message for one in told.recommendation.reasons)


async def test_a_cell_in_which_no_window_fits_is_named(
    optimizer: Optimizer, spec: dict[str, Any], refused: Callable[[Any], Any]
) -> None:
    """With the bars it needs and those there are."""
    matrix = {"in_samples": [{"days": 120}, {"days": 330}], "steps": [{"days": 30}, {"days": 60}]}
    error = await refused(optimizer.create(spec | {"walk_forward": {"matrix": matrix}}))

    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "WINDOW_TOO_SHORT")
    assert error.metadata == {
        "needed_bar_count": "9360",
        "available_bar_count": "8784",
        "cell_number": "3",
    }


@pytest.mark.parametrize(
    ("walk", "fields"),
    [
        (
            WALK | {"in_sample": {"days": 1}, "step": {"days": 1}, "out_of_sample": {}},
            ["in_sample", "out_of_sample", "step"],
        ),
        ({"matrix": {}}, ["matrix.in_samples", "matrix.steps"]),
        (
            {
                "matrix": {"in_samples": [{}, {"days": 2}], "steps": [{"days": 2}, {"bars": "48"}]},
                "purge": {"days": -1},
                "mode": 9,
            },
            ["mode", "matrix.in_samples[0]", "matrix.steps[1]", "purge"],
        ),
        ({"matrix": {"in_samples": [{"days": 30}], "steps": [{"bars": "6"}]}}, ["matrix"]),
        (WALK | {"windows": [{}]}, ["windows"]),
    ],
)
async def test_what_does_not_go_with_a_matrix_is_refused(
    optimizer: Optimizer,
    spec: dict[str, Any],
    walk: dict[str, Any],
    fields: list[str],
    refused: Callable[[Any], Any],
) -> None:
    """All of it at once, by the fields of the spec."""
    error = await refused(optimizer.create(spec | {"walk_forward": walk}))

    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [one.field for one in error.violations] == [f"spec.walk_forward.{f}" for f in fields]


async def test_a_rerun_of_a_matrix_is_the_same_study(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """The stored spec holds windows with their cells; the digest is the same."""
    first = await optimizer.finished(spec)
    answer = await optimizer.stub.CreateStudy(pb.CreateStudyRequest(rerun_of=first.name))
    second = (await optimizer.watch(answer.study.name))[-1].study_finished

    assert second.spec == first.spec
    assert second.trials_digest == first.trials_digest


async def test_windows_of_another_cell_are_refused(
    optimizer: Optimizer, spec: dict[str, Any], refused: Callable[[Any], Any]
) -> None:
    """Given windows must be those of the lengths, cell by cell."""
    first = await optimizer.estimate(spec)
    moved = study_pb2.StudySpec()
    moved.CopyFrom(first.study.spec)
    moved.walk_forward.windows[4].cell_number = 0
    error = await refused(optimizer.stub.CreateStudy(pb.CreateStudyRequest(spec=moved)))

    assert [one.field for one in error.violations] == ["spec.walk_forward.windows[4]"]


async def test_few_windows_in_some_cell_are_warned_of(
    optimizer: Optimizer, spec: dict[str, Any]
) -> None:
    """The estimate counts the trials of all cells."""
    matrix = {"in_samples": [{"days": 240}, {"days": 60}], "steps": [{"days": 60}]}
    answer = await optimizer.estimate(spec | {"walk_forward": {"matrix": matrix}})

    assert answer.estimate.trial_count == (2 + 5) * 6
    told = "2 windows are few in some cell: what they say together may be luck."
    assert told in answer.study.warnings
    assert answer.study.spec.walk_forward.mode == walk_forward_pb2.WalkForwardSpec.MODE_ROLLING
