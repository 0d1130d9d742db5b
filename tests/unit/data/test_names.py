"""Names of datasets say what a dataset is, or everything that is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.intervals import Interval
from services.data.core.catalog import instrument_of, parse_name
from services.data.core.ports import InstrumentId


def test_a_name_says_instrument_and_interval() -> None:
    """The parts of an exchange's dataset are its source, market, symbol and bar length."""
    name, violations = parse_name("datasets/bybit.linear.btcusdt.4h", "name")
    assert name is not None
    assert not violations
    assert name.interval is Interval.HOUR_4
    assert instrument_of(name, "name") == (InstrumentId("bybit", "linear", "BTCUSDT"), [])


def test_a_funding_name_has_no_interval() -> None:
    """A name that ends in "funding" holds settlements."""
    name, _ = parse_name("datasets/bybit.inverse.btcusd.funding", "name")
    assert name is not None
    assert name.interval is None


@pytest.mark.parametrize("interval", list(Interval))
def test_every_interval_has_a_name(interval: Interval) -> None:
    """Each interval of the contract can stand at the end of a name."""
    name, _ = parse_name(f"datasets/file.x.{interval.value}", "name")
    assert name is not None
    assert name.interval is interval


def test_everything_wrong_with_a_name_is_told_at_once() -> None:
    """Collection, characters and ending are three violations of one name."""
    name, violations = parse_name("sets/Bybit..btc/usdt.7h", "name")
    assert name is None
    assert {violation.field for violation in violations} == {"name"}
    told = " ".join(violation.description for violation in violations)
    assert 'must begin with "datasets/"' in told
    assert '"sets/Bybit", "", "btc/usdt"' in told
    assert "must end in one of 1m" in told


@pytest.mark.parametrize(
    ("full", "told"),
    [
        ("", "is required"),
        ("datasets/1h", "at least two parts"),
        ("datasets/synthetic.demo.funding", "cannot be synthetic funding"),
        (f"datasets/{'x' * 200}.1h", "longer than 200"),
        ("datasets/../etc.1h", "parts that are not"),
    ],
)
def test_a_name_that_breaks_one_rule_is_refused(full: str, told: str) -> None:
    """Each rule of the grammar refuses by itself."""
    name, violations = parse_name(full, "name")
    assert name is None
    assert told in violations[0].description


@given(st.text(max_size=60))
def test_no_name_leaves_the_folder_of_datasets(text: str) -> None:
    """Whatever is accepted is a single path segment that is not hidden."""
    name, violations = parse_name(f"datasets/{text}", "name")
    assert (name is None) == bool(violations)
    if name is not None:
        assert "/" not in name.rest
        assert not name.rest.startswith(".")


def test_all_that_is_unknown_about_a_source_is_told() -> None:
    """An unknown exchange and an unknown market are two violations."""
    name, _ = parse_name("datasets/kraken.margin.btcusd.1h", "name")
    assert name is not None
    instrument, violations = instrument_of(name, "name")
    assert instrument is None
    told = [violation.description for violation in violations]
    assert "source 'kraken' is unknown; known: bybit" in told[0]
    assert "category 'margin' is unknown; known: inverse, linear, spot" in told[1]


def test_spot_has_no_funding() -> None:
    """Funding of a spot market is refused before anybody is asked."""
    name, _ = parse_name("datasets/bybit.spot.btcusdt.funding", "name")
    assert name is not None
    _, violations = instrument_of(name, "name")
    assert "no funding" in violations[0].description


def test_a_file_name_has_no_source() -> None:
    """A name of another shape cannot be fetched, and the answer says which shapes can."""
    name, _ = parse_name("datasets/mine.1h", "name")
    assert name is not None
    instrument, violations = instrument_of(name, "name")
    assert instrument is None
    assert "no source to fetch from" in violations[0].description
