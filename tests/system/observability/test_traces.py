"""Spans of all services are one trace, and none are sent where nobody asked for them."""

from __future__ import annotations

import signal
from typing import Any

from tests.private_servers import free_port

SERVICES = {"assay-optimizer", "assay-backtest", "assay-data"}


def test_creating_a_study_is_one_trace_over_all_services(watched: Any) -> None:
    """CreateStudy asks a worker, which asks the data service: all spans share a trace id."""
    spans = watched.collector.wait_for_trace(
        lambda trace: (
            {span.service for span in trace} == SERVICES
            and any(span.name.endswith("/CreateStudy") for span in trace)
        )
    )

    root = next(span for span in spans if span.name.endswith("/CreateStudy"))
    known = {span.span_id for span in spans}
    assert root.parent_id == b""
    assert all(span.parent_id in known for span in spans if span is not root)
    identities = {
        span.attributes["assay.request_id"]
        for span in spans
        if span.service in {"assay-optimizer", "assay-backtest"}
    }
    assert identities == {root.attributes["assay.request_id"]}


def test_a_generation_is_a_trace_with_the_calls_it_needed(watched: Any) -> None:
    """A generation's span has the study's name and number, and worker calls below it."""
    spans = watched.collector.wait_for_trace(
        lambda trace: (
            any(span.attributes.get("assay.generation_number") == 2 for span in trace)
            and {span.service for span in trace} >= {"assay-optimizer", "assay-backtest"}
        )
    )

    generation = next(span for span in spans if span.name == "study.generation")
    assert generation.attributes["assay.study_id"] == "watched"
    assert generation.attributes["assay.set_count"] == 16
    calls = [span for span in spans if span.parent_id == generation.span_id]
    assert calls
    assert {span.name for span in calls} == {"assay.backtest.v1.BacktestService/RunBacktestBatch"}
    served = [span for span in spans if span.parent_id in {call.span_id for call in calls}]
    assert {span.service for span in served} == {"assay-backtest"}
    assert {span.attributes["assay.study_id"] for span in served} == {"watched"}


def test_a_collector_that_is_away_holds_nothing_up(
    start_system: Any, grid_spec: dict[str, Any]
) -> None:
    """Studies succeed and processes end in time while spans have nowhere to go."""
    system = start_system(otlp_endpoint=f"http://127.0.0.1:{free_port()}")

    study = system.watch(system.create("alone", grid_spec).name)

    assert study.progress.finished_trial_count == 90
    for process in reversed(system.processes()):
        assert process.send(signal.SIGTERM) == 0
