"""Connections to workers that are slow, torn, or dead without a word."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from assay.optimizer.v1 import study_pb2

from tests.system.chaos.conftest import assert_whole
from tests.system.chaos.faulty_proxy import FaultyProxy


@pytest.fixture
def proxied(start_optimizer: Any, proxies: list[FaultyProxy]) -> Any:
    """Start a system whose optimizer reaches its two workers through proxies."""

    def reach(addresses: list[str]) -> str:
        proxies.extend(map(FaultyProxy, addresses))
        return "ipv4:" + ",".join(proxy.address for proxy in proxies)

    return start_optimizer(workers=2, reach=reach)


def test_torn_connections_cost_no_trial(
    proxied: Any, proxies: list[FaultyProxy], spec: dict[str, Any], undisturbed: dict[str, str]
) -> None:
    """All connections to workers are reset after every fourth generation."""
    cuts: list[int] = []

    def tear(event: study_pb2.StudyEvent) -> None:
        number = event.generation_finished.generation_number
        if number and number % 4 == 0:
            for proxy in proxies:
                proxy.cut()
            cuts.append(number)

    study = proxied.watch(proxied.create("torn", spec).name, tear)

    assert cuts
    assert_whole(proxied, study, undisturbed)


def test_slow_connections_change_nothing_but_the_time(
    proxied: Any, proxies: list[FaultyProxy], spec: dict[str, Any], undisturbed: dict[str, str]
) -> None:
    """Both ways to one of the workers are slow."""
    proxies[0].mode = "slow"

    study = proxied.watch(proxied.create("slow", spec).name)

    assert_whole(proxied, study, undisturbed)


def test_a_connection_that_swallows_everything_is_given_up(
    proxied: Any, proxies: list[FaultyProxy], spec: dict[str, Any], undisturbed: dict[str, str]
) -> None:
    """Nothing ever comes back over it, nor an error; the other worker finishes the study."""

    def swallow(event: study_pb2.StudyEvent) -> None:
        if event.generation_finished.generation_number == 2:
            proxies[0].mode = "swallow"

    study = proxied.watch(proxied.create("swallowed", spec).name, swallow)

    assert_whole(proxied, study, undisturbed)


def test_a_frozen_worker_is_given_up(
    start_optimizer: Any, spec: dict[str, Any], undisturbed: dict[str, str]
) -> None:
    """It holds its connections and answers nothing; the other worker finishes the study."""
    system = start_optimizer(workers=2)

    def freeze(event: study_pb2.StudyEvent) -> None:
        if event.generation_finished.generation_number == 2:
            system.workers[0].halt()

    study = system.watch(system.create("frozen", spec).name, freeze)
    system.workers[0].go_on()

    assert_whole(system, study, undisturbed)
    assert system.workers[0].send(signal.SIGTERM) == 0
