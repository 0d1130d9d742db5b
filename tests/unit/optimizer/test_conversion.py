"""Messages to plain Python and back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from assay.backtest.v1 import metrics_pb2
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import AssayError, Code
from services.common.settings import SettingsError, read_settings
from services.optimizer.convert.defaults import with_defaults
from services.optimizer.convert.events import MessageWriter, numbered
from services.optimizer.convert.requests import page_of, request_digest
from services.optimizer.convert.specs import draft_of, plan_of
from services.optimizer.convert.values import (
    METRIC_NAMES,
    assignments,
    column_message,
    metrics_message,
    value_of,
)
from services.optimizer.core.records import StudyState
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.space import Categories, DoubleRange, Fixed, IntRange
from services.optimizer.core.study.events import GenerationReport
from services.optimizer.core.study.tally import Progress
from services.optimizer.core.trial import Outcome
from services.optimizer.settings import OptimizerSettings

SPEC: dict[str, Any] = {
    "parameters": [
        {"name": "a", "int_range": {"low": 1, "high": 9}},
        {"name": "b", "int_range": {"low": 1, "high": 9, "log": True}},
        {"name": "c", "double_range": {"low": 0, "high": 1, "step": 0.25}},
        {"name": "d", "double_range": {"low": 0.5, "high": 1}},
        {"name": "e", "categories": {"values": ["x", "y"]}},
        {"name": "f", "fixed_value": {"int_value": "3"}},
        {"name": "g", "fixed_value": {"double_value": 3}},
    ],
    "constraints": ["a < b"],
    "objectives": [
        {"metric": "sharpe_ratio"},
        {"metric": "trade_count", "direction": "DIRECTION_MINIMIZE"},
    ],
    "bayesian": {"trial_count": 30},
}


def spec(**changes: Any) -> study_pb2.StudySpec:
    """Return the spec with changes, its defaults filled in."""
    return with_defaults(json_format.ParseDict({**SPEC, **changes}, study_pb2.StudySpec()), seed=77)


def test_filling_in_defaults_twice_changes_nothing() -> None:
    """And it changes nothing that was given."""
    filled = spec()

    assert with_defaults(filled, seed=99) == filled
    assert (filled.seed, filled.generation_size) == (77, 8)
    assert filled.bayesian.startup_trial_count == 10
    assert spec(seed="5", generation_size=0).generation_size == 0
    assert spec(seed="0").seed == 0


def test_domains_keep_their_types() -> None:
    """Whole numbers stay whole, also where they are fixed."""
    plan = plan_of(spec())

    assert [one.domain for one in plan.space.parameters] == [
        IntRange(1, 9, 1),
        IntRange(1, 9, None, log=True),
        DoubleRange(0.0, 1.0, 0.25),
        DoubleRange(0.5, 1.0),
        Categories(("x", "y")),
        Fixed(3),
        Fixed(3.0),
    ]
    assert [type(value) for value in plan.space.fixed.values()] == [int, float]
    assert plan.search is SearchKind.BAYESIAN
    assert plan.shape.maximize == (True, False)
    assert [one.name for one in plan.shape.searched] == ["a", "b", "c", "d", "e"]


def test_a_draft_of_nothing_is_a_draft() -> None:
    """The core says what is wrong with it."""
    draft = draft_of(with_defaults(study_pb2.StudySpec(), seed=1))

    assert draft.search is None
    assert draft.parameters == ()


@given(
    value=st.one_of(
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
    )
)
def test_values_survive_the_wire(value: float | str) -> None:
    """With type and bits."""
    (message,) = assignments({"x": value})
    back = value_of(type(message).FromString(message.SerializeToString()).value)

    assert type(back) is type(value)
    assert back == value
    assert not isinstance(value, float) or math.copysign(1, value) == math.copysign(1, float(back))


def test_a_column_of_words_lists_each_word_once() -> None:
    """In the order of their first use."""
    column = column_message("e", ["y", "x", "y"])

    assert list(column.category_values.categories) == ["y", "x"]
    assert list(column.category_values.indexes) == [0, 1, 0]


def test_metrics_are_told_whole_with_their_reasons() -> None:
    """Whole numbers in whole fields, undefined ones in field order; none for what did not run."""
    message = metrics_message(
        Outcome({"trade_count": 12.0, "sharpe_ratio": 1.5}, {"win_rate_ratio": 3, "cagr_ratio": 1})
    )

    assert message is not None
    assert message.trade_count == 12
    assert message.sharpe_ratio == 1.5
    assert [(one.metric, one.reason) for one in message.undefined] == [
        ("cagr_ratio", metrics_pb2.UNDEFINED_REASON_TOO_FEW_OBSERVATIONS),
        ("win_rate_ratio", metrics_pb2.UNDEFINED_REASON_NO_TRADES),
    ]
    assert metrics_message(Outcome(failure_reason="SET_FAILED")) is None
    assert len(METRIC_NAMES) == 53


def test_tokens_lead_through_all_pages() -> None:
    """And only for the request they were made for."""
    entries = list(range(23))
    found: list[int] = []
    token = ""
    for _ in range(3):
        page, violations = page_of(10, token, 5, "List", "parent")
        assert violations == []
        found += entries[page.offset : page.end]
        token = page.next_token(more=page.end < len(entries))

    assert found == entries
    assert token == ""
    assert page_of(0, "", 5, "List")[0].size == 5
    assert page_of(5000, "", 5, "List")[0].size == 1000
    page, _ = page_of(10, "", 5, "List", "parent")
    for other in (("List", "other"), ("Other", "parent")):
        assert page_of(10, page.next_token(more=True), 5, *other)[1]


def test_requests_are_told_apart_by_their_content() -> None:
    """Equal ones have equal digests."""
    assert request_digest(spec()) == request_digest(spec())
    assert request_digest(spec()) != request_digest(spec(seed="5"))


def test_stored_events_get_their_number_when_they_are_read() -> None:
    """The store counts them."""
    writer = MessageWriter()
    event = writer.generation_finished(
        GenerationReport("one", 3, Progress(10, 4), best=(), improved=False, time_ms=5)
    )
    message = numbered(7, event)

    assert message.number == 7
    assert message.time.ToMilliseconds() == 5
    assert message.generation_finished.progress.total_trial_count == 10
    assert not message.generation_finished.HasField("best_trial")
    assert not writer.is_study_finished(event)
    assert not writer.is_study_finished(writer.state_changed(StudyState.RUNNING, 1))


@pytest.mark.parametrize(
    ("error", "reason", "domain"),
    [
        (
            AssayError(Code.ABORTED, "DATASET_CHANGED", "x", domain="data.assay"),
            "DATASET_CHANGED",
            "optimizer.assay",
        ),
        (
            AssayError(Code.NOT_FOUND, "DATASET_UNKNOWN", "x", domain="data.assay"),
            "DATASET_UNKNOWN",
            "data.assay",
        ),
        (AssayError(Code.INTERNAL, "INTERNAL", "x"), "INTERNAL", "optimizer.assay"),
        (AssayError(Code.RESOURCE_EXHAUSTED, "", "x"), "RESOURCE_EXHAUSTED", "optimizer.assay"),
    ],
)
def test_a_failure_says_whose_reason_it_is(error: AssayError, reason: str, domain: str) -> None:
    """Changed data are the optimizer's own finding."""
    found = study_pb2.StudyError.FromString(MessageWriter().failure(error))

    assert (found.reason, found.domain) == (reason, domain)


def test_settings_have_working_defaults() -> None:
    """The store lies in the home folder; several workers are one target."""
    plain = read_settings(OptimizerSettings, {"ASSAY_HOME": "/tmp/x"})
    several = read_settings(
        OptimizerSettings, {"ASSAY_BACKTEST_ADDRESS": "127.0.0.1:1,127.0.0.1:2"}
    )
    named = read_settings(OptimizerSettings, {"ASSAY_BACKTEST_ADDRESS": "dns:///w:1"})

    assert plain.store_url == "sqlite:////tmp/x/optimizer.sqlite3"
    assert plain.worker_target == "127.0.0.1:50052"
    assert plain.trial_limit == 100_000
    assert several.worker_target == "ipv4:127.0.0.1:1,127.0.0.1:2"
    assert named.worker_target == "dns:///w:1"
    assert read_settings(OptimizerSettings, {"ASSAY_DATABASE_URL": "sqlite:///f"}).store_url == (
        "sqlite:///f"
    )


def test_senseless_settings_are_refused_together() -> None:
    """Every one is named."""
    with pytest.raises(SettingsError, match=r"ASSAY_TRIAL_LIMIT.*ASSAY_RPC_TIMEOUT_SECONDS"):
        read_settings(
            OptimizerSettings, {"ASSAY_TRIAL_LIMIT": "0", "ASSAY_RPC_TIMEOUT_SECONDS": "0"}
        )
