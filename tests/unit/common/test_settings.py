"""Settings from the environment."""

from dataclasses import dataclass

import pytest

from services.common.settings import ServiceSettings, SettingsError, read_settings


@dataclass(frozen=True, slots=True)
class Example(ServiceSettings):
    """A service's settings."""

    slots: int = 2
    redis_url: str | None = None


def test_values_are_read_by_their_types() -> None:
    """Numbers are numbers, and what is not set keeps its default."""
    settings = read_settings(
        Example, {"ASSAY_LISTEN_ADDRESS": ":1", "ASSAY_SLOTS": "3", "ASSAY_DRAIN_SECONDS": "1.5"}
    )

    assert settings == Example(listen_address=":1", slots=3, drain_seconds=1.5)


def test_every_problem_is_named_at_once() -> None:
    """Unknown names, unreadable values and missing ones come together."""
    with pytest.raises(SettingsError) as raised:
        read_settings(Example, {"ASSAY_SLOT": "3", "ASSAY_SLOTS": "many", "PATH": "/bin"})

    message = str(raised.value)
    assert "ASSAY_SLOT is not a setting; did you mean ASSAY_SLOTS?" in message
    assert "ASSAY_SLOTS='many'" in message
    assert "ASSAY_LISTEN_ADDRESS is required" in message


def test_an_empty_variable_counts_as_unset() -> None:
    """Compose files write unset variables as empty ones."""
    settings = read_settings(Example, {"ASSAY_REDIS_URL": ""}, listen_address=":1")

    assert settings.redis_url is None


def test_a_setting_of_another_service_is_no_mistake() -> None:
    """One environment often serves several processes."""
    settings = read_settings(Example, {"ASSAY_DATABASE_URL": "x"}, listen_address=":1")

    assert settings.slots == 2


def test_words_and_times_that_make_no_sense_are_refused() -> None:
    """A misspelt log level must not be found out by the first line of the log."""
    environment = {
        "ASSAY_LISTEN_ADDRESS": ":1",
        "ASSAY_LOG_LEVEL": "loud",
        "ASSAY_LOG_FORMAT": "xml",
        "ASSAY_DRAIN_SECONDS": "nan",
    }
    with pytest.raises(SettingsError) as raised:
        read_settings(Example, environment)

    message = str(raised.value)
    assert "ASSAY_LOG_LEVEL='loud': say one of debug, info, warning, error" in message
    assert "ASSAY_LOG_FORMAT='xml': say one of text, json" in message
    assert "ASSAY_DRAIN_SECONDS='nan': say a finite number, 0 or more" in message
