"""Services as processes: health, reflection, and an end that loses nothing."""

import signal
from typing import Any

import grpc
import pytest
from assay.optimizer.v1 import optimizer_service_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

SERVICES = {
    "data": "assay.data.v1.DataService",
    "backtest": "assay.backtest.v1.BacktestService",
    "optimizer": "assay.optimizer.v1.OptimizerService",
}


@pytest.fixture
def system(start_system: Any) -> Any:
    """Start one worker and the other two services."""
    return start_system()


def test_every_service_is_healthy_and_describes_itself(system: Any) -> None:
    """Health answers by name and reflection lists the service."""
    for process in system.processes():
        name = SERVICES[process.service]
        with grpc.insecure_channel(process.address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
            question = reflection_pb2.ServerReflectionRequest(list_services="")
            listed = next(iter(reflection.ServerReflectionInfo(iter([question]), timeout=10)))

        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert name in {item.name for item in listed.list_services_response.service}


def test_sigterm_drains_and_exits_with_zero(system: Any, bayesian_spec: dict[str, Any]) -> None:
    """A process told to end finishes what it is doing, even with a study in hand."""
    system.create("interrupted", bayesian_spec)

    statuses = {
        process.service: process.send(signal.SIGTERM) for process in reversed(system.processes())
    }

    assert statuses == {"data": 0, "backtest": 0, "optimizer": 0}


def test_a_watch_does_not_keep_a_service_from_ending(
    system: Any, bayesian_spec: dict[str, Any]
) -> None:
    """The drain ends open watches with UNAVAILABLE, which tells clients to watch again."""
    bayesian_spec["bayesian"]["trial_count"] = 5_000
    name = system.create("watched", bayesian_spec).name
    events = system.optimizer_stub.WatchStudy(
        optimizer_service_pb2.WatchStudyRequest(name=name), timeout=120
    )
    next(events)

    system.optimizer.running.send_signal(signal.SIGTERM)
    with pytest.raises(grpc.RpcError) as raised:
        list(events)

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert system.optimizer.running.wait(timeout=60) == 0


def test_a_study_interrupted_by_sigterm_goes_on_after_the_restart(
    system: Any, bayesian_spec: dict[str, Any]
) -> None:
    """Nothing that was finished is lost, and nothing is run twice."""
    name = system.create("continued", bayesian_spec).name
    assert system.optimizer.send(signal.SIGTERM) == 0
    system.optimizer.start()
    system.optimizer.wait_until_serving()

    study = system.watch(name)

    assert [trial.number for trial in system.trials(study.name)] == list(range(100))
