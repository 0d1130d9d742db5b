"""What processes say in numbers is what they did."""

from __future__ import annotations

import re
import signal
from typing import Any

import grpc
import pytest
from assay.optimizer.v1 import optimizer_service_pb2

TRIALS = 90


def test_the_optimizer_counts_what_it_stored(watched: Any) -> None:
    """Trials, generations, transactions and leases are those of the one study there was."""
    found = watched.scrape(watched.system.optimizer)

    assert found.value("assay_optimizer_trials_total", state="complete") == TRIALS
    assert found.value("assay_optimizer_trials_total", state="failed") == 0
    assert found.value("assay_optimizer_generations_total") == -(-TRIALS // 16)
    assert found.value("assay_optimizer_lease_claims_total") == 1
    assert found.value("assay_optimizer_lease_losses_total") == 0
    assert found.value("assay_optimizer_studies", state="running") == 0
    assert found.value("assay_optimizer_waiting_sets") == 0
    assert found.value("assay_optimizer_in_flight_sets") == 0
    assert found.value("assay_optimizer_unsaved_trials") == 0
    assert found.value("assay_optimizer_store_duration_seconds_count", operation="append") >= 1
    assert found.value("assay_optimizer_store_failures_total", operation="append") == 0
    created = {"method": "assay.optimizer.v1.OptimizerService/CreateStudy", "code": "OK"}
    assert found.value("assay_rpc_duration_seconds_count", **created) == 1


def test_workers_count_what_they_ran(watched: Any) -> None:
    """All workers together ran every trial, and bars and seconds for them."""
    found = [watched.scrape(worker) for worker in watched.system.workers]

    assert sum(one.value("assay_backtest_sets_total") for one in found) >= TRIALS
    assert sum(one.value("assay_backtest_bars_total") for one in found) >= TRIALS * 4000
    assert sum(one.value("assay_backtest_kernel_seconds_total") for one in found) > 0
    for one in found:
        assert one.value("assay_backtest_slots") >= 1
        assert one.value("assay_backtest_busy_slots") == 0
        assert one.value("assay_backtest_queued_batches") == 0
        batches = one.value("assay_backtest_batches_total")
        if batches:
            assert one.value("assay_backtest_frame_cache_bytes") > 0
            assert one.value("assay_backtest_frame_cache_misses_total") >= 1


def test_the_data_service_counts_frames(watched: Any) -> None:
    """Each frame is read from the store once, and then comes from memory."""
    found = watched.scrape(watched.system.data)

    assert found.value("assay_data_frames_total", source="store") >= 1
    assert found.value("assay_data_frames_total", source="redis") == 0
    assert found.value("assay_data_frame_cache_bytes") > 0
    assert found.value("assay_data_exchange_requests_total", outcome="answered") == 0


def test_no_label_is_a_callers_text(watched: Any) -> None:
    """Neither studies nor datasets nor ids of requests show in any series."""
    for process in watched.system.processes():
        text = watched.scrape(process).text

        assert "watched" not in text
        assert "synthetic" not in text
        assert not re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)


def test_a_number_of_calls_makes_no_new_series(watched: Any) -> None:
    """Errors count by code alone: unknown studies with different names are one series."""
    stub = watched.system.optimizer_stub
    for number in range(5):
        _refused(stub, f"studies/none-{number}")
    before = watched.scrape(watched.system.optimizer)
    for number in range(5, 25):
        _refused(stub, f"studies/none-{number}")
    after = watched.scrape(watched.system.optimizer)

    method = "assay.optimizer.v1.OptimizerService/GetStudy"
    count = "assay_rpc_duration_seconds_count"
    assert set(after.samples) == set(before.samples)
    assert after.value(count, method=method, code="NOT_FOUND") == 25
    assert after.value("assay_rpc_in_flight", method=method) == 0


def test_without_the_setting_nothing_listens(start_system: Any) -> None:
    """A system is silent unless it is asked to speak, and says no word of metrics or traces."""
    system = start_system()

    for process in system.processes():
        assert "metrics.listening" not in process.log.read_text()
    assert system.optimizer.send(signal.SIGTERM) == 0


def _refused(stub: Any, name: str) -> None:
    with pytest.raises(grpc.RpcError):
        stub.GetStudy(optimizer_service_pb2.GetStudyRequest(name=name), timeout=10)
