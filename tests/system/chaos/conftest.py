"""A small study for each fault, and what its trials are without any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from assay.optimizer.v1 import study_pb2

from tests.system.chaos.faulty_proxy import FaultyProxy

TRIAL_COUNT = 120


@pytest.fixture
def spec(bayesian_spec: dict[str, Any]) -> dict[str, Any]:
    """Return a study that learns: a lost or repeated trial would change all that follow."""
    return bayesian_spec | {"bayesian": {"trial_count": TRIAL_COUNT}, "generation_size": 4}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Remember the digest of the study, from whichever test ran first."""
    del tmp_path_factory
    return {}


@pytest.fixture
def proxies() -> Iterator[list[FaultyProxy]]:
    """Return a list of proxies that are ended with the test."""
    made: list[FaultyProxy] = []
    yield made
    for one in made:
        one.end()


def assert_whole(system: Any, study: study_pb2.Study, undisturbed: dict[str, str]) -> None:
    """Hold a finished study against those of other tests, trial by trial."""
    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    assert [trial.number for trial in system.trials(study.name)] == list(range(TRIAL_COUNT))
    assert study.trials_digest == undisturbed.setdefault("digest", study.trials_digest)
