"""No secret in a log line, in whatever form the settings had it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from services.common.observing.redaction import secrets_in, without
from services.common.telemetry import configure_logging, study_id
from services.optimizer.settings import OptimizerSettings


@pytest.fixture(autouse=True)
def _same_logging() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://assay:hunter2@db/assay", "hunter2"),
        ("postgresql://assay:hun%2Fter2@db/assay", "hun/ter2"),
        ("postgresql://assay:hun%2Fter2@db/assay", "hun%2Fter2"),
        ("redis://:hunter2@cache:6379/0", "hunter2"),
        ("postgresql://db/assay?user=a&password=hunter2", "hunter2"),
        ("s3://bucket/candles?secret_access_key=hunter2", "hunter2"),
        ("postgresql://assay:hun@ter2@db/assay", "hun@ter2"),
        ("postgresql://assay:hun@ter2@db/assay", "ter2"),
    ],
)
def test_passwords_of_urls_are_masked(url: str, told: str) -> None:
    """Passwords before the host and in options, as written and as meant, whole and in pieces."""
    line = without(f"cannot connect with {told}: no such host", secrets_in([url]))

    assert line == "cannot connect with ***: no such host"


@pytest.mark.parametrize(
    "text",
    [None, 5, "", "127.0.0.1:50051", "dns:///data:50051", "http://collector:4317", "sqlite:///a@b"],
)
def test_values_without_secrets_have_none(text: object) -> None:
    """Plain addresses mask nothing."""
    assert secrets_in([text]) == ()


def test_a_log_line_masks_what_the_settings_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages, fields and tracebacks of any library pass through the mask."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    url = "postgresql://assay:hunter2secret@db/assay"
    configure_logging("optimizer", OptimizerSettings(database_url=url, log_format="json"))

    error = RuntimeError(f"cannot open {url}")
    logging.getLogger("any").error("store.broken", extra={"url": url}, exc_info=error)

    assert stream.getvalue().count("***") == 2
    assert "hunter2" not in stream.getvalue()


def test_a_log_line_names_the_study_that_work_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One name for the field, whether the line says it by itself or the context does."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging("optimizer", OptimizerSettings())

    token = study_id.set("first")
    try:
        logging.getLogger("any").warning("one")
        logging.getLogger("any").warning("two", extra={"study": "second"})
    finally:
        study_id.reset(token)
    logging.getLogger("any").warning("three")

    one, two, three = stream.getvalue().splitlines()
    assert one.endswith(" one study=first")
    assert two.endswith(" two study=second")
    assert three.endswith(" three")
