"""Settings of a worker: read from the environment, refused when they make no sense."""

from __future__ import annotations

import os

import pytest

from services.backtest.settings import BacktestSettings
from services.common.settings import SettingsError, read_settings


def test_without_an_environment_a_worker_serves_this_machine() -> None:
    """Default ports on the loopback, and a slot for every CPU this process may use."""
    settings = read_settings(BacktestSettings, {})

    assert settings.listen_address == "127.0.0.1:50052"
    assert settings.data_address == "127.0.0.1:50051"
    assert settings.slot_count == len(os.sched_getaffinity(0))


def test_the_environment_decides() -> None:
    """Numbers and addresses are read by the names of the vocabulary."""
    environment = {
        "ASSAY_LISTEN_ADDRESS": "0.0.0.0:1",
        "ASSAY_SLOTS": "3",
        "ASSAY_FRAME_CACHE_MB": "64",
        "ASSAY_RPC_TIMEOUT_SECONDS": "1.5",
    }

    settings = read_settings(BacktestSettings, environment)

    assert settings.listen_address == "0.0.0.0:1"
    assert (settings.slot_count, settings.frame_cache_mb) == (3, 64)
    assert settings.rpc_timeout_seconds == 1.5


def test_numbers_that_make_no_sense_are_all_told() -> None:
    """One error names every such setting."""
    environment = {
        "ASSAY_SLOTS": "-1",
        "ASSAY_FRAME_CACHE_MB": "-1",
        "ASSAY_RPC_TIMEOUT_SECONDS": "0",
    }

    with pytest.raises(SettingsError) as refusal:
        read_settings(BacktestSettings, environment)

    assert all(name in str(refusal.value) for name in environment)
