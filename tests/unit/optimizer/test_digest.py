"""The digest of trials."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from services.optimizer.core.study.digest import TrialsDigest, trials_digest
from services.optimizer.core.trial import Outcome, Trial, TrialState

TRIAL = Trial(
    number=3,
    generation_number=0,
    parameters={"period": 14, "width": 2.0, "average": "sma"},
    state=TrialState.COMPLETE,
    objective_values=(1.5,),
    constraint_values=(-1.0,),
    feasible=True,
    outcome=Outcome({"sharpe_ratio": 1.5, "bust": 0.0}, {"cagr_ratio": 1}),
    start_time_ms=10,
    end_time_ms=20,
)


def test_a_stranger_can_compute_it_from_its_description() -> None:
    """Written out by hand from the module's docstring."""

    def text(word: str) -> bytes:
        return struct.pack("<I", len(word)) + word.encode()

    by_hand = b"".join(
        [
            struct.pack("<Q", 3),
            b"\x01",
            b"\x00",
            struct.pack("<I", 3),
            text("period") + b"i" + struct.pack("<q", 14),
            text("width") + b"d" + struct.pack("<d", 2.0),
            text("average") + b"c" + text("sma"),
            struct.pack("<I", 3),
            text("bust") + b"v" + struct.pack("<d", 0.0),
            text("cagr_ratio") + b"u" + struct.pack("<I", 1),
            text("sharpe_ratio") + b"v" + struct.pack("<d", 1.5),
        ]
    )

    assert trials_digest([TRIAL]) == hashlib.sha256(by_hand).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, number=4),
        lambda one: replace(one, state=TrialState.FAILED),
        lambda one: replace(one, feasible=False),
        lambda one: replace(one, parameters={**one.parameters, "period": 15}),
        lambda one: replace(one, parameters={**one.parameters, "period": 14.0}),
        lambda one: replace(one, parameters={**one.parameters, "average": "ema"}),
        lambda one: replace(one, parameters=dict(reversed(one.parameters.items()))),
        lambda one: replace(one, outcome=Outcome({"sharpe_ratio": 1.5}, {"cagr_ratio": 1})),
        lambda one: replace(
            one, outcome=Outcome({"sharpe_ratio": 1.5, "bust": -0.0}, {"cagr_ratio": 1})
        ),
        lambda one: replace(
            one, outcome=Outcome({"sharpe_ratio": 1.5, "bust": 0.0}, {"cagr_ratio": 2})
        ),
        lambda one: replace(
            one,
            outcome=Outcome({"sharpe_ratio": 1.5000000000000002, "bust": 0.0}, {"cagr_ratio": 1}),
        ),
    ],
)
def test_it_feels_every_bit_that_counts(change: Callable[[Trial], Trial]) -> None:
    """Number, state, infeasibility, typed and ordered parameters, every metric bit and reason."""
    assert trials_digest([change(TRIAL)]) != trials_digest([TRIAL])


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, start_time_ms=99, end_time_ms=100),
        lambda one: replace(one, generation_number=5),
        lambda one: replace(
            one, outcome=Outcome({"bust": 0.0, "sharpe_ratio": 1.5}, {"cagr_ratio": 1})
        ),
    ],
)
def test_it_is_free_of_times_and_of_the_order_metrics_came_in(
    change: Callable[[Trial], Trial],
) -> None:
    """What differs between two runs of the same study is not part of it."""
    assert trials_digest([change(TRIAL)]) == trials_digest([TRIAL])


def test_it_grows_trial_by_trial() -> None:
    """A copy goes its own way."""
    digest = TrialsDigest()
    digest.add(TRIAL)
    copy = digest.copy()
    copy.add(replace(TRIAL, number=4))

    assert digest.hexdigest() == trials_digest([TRIAL])
    assert copy.hexdigest() == trials_digest([TRIAL, replace(TRIAL, number=4)])
