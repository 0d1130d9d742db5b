"""The data service finds its store by its settings."""

from __future__ import annotations

import pytest

from services.common.settings import SettingsError, read_settings
from services.data.settings import DataSettings


def test_datasets_lie_under_home() -> None:
    """Without anything set the store is a folder beside the caller."""
    plain = read_settings(DataSettings, {})
    assert plain.candle_store == "./assay-home/datasets"
    assert plain.listen_address == "127.0.0.1:50051"
    assert plain.redis_url is None
    at_home = read_settings(DataSettings, {"ASSAY_HOME": "/srv/assay"})
    assert at_home.candle_store == "/srv/assay/datasets"


def test_a_store_url_wins_over_home() -> None:
    """A URL names object storage, whatever home is."""
    url = "s3://bucket/assay"
    found = read_settings(DataSettings, {"ASSAY_HOME": "x", "ASSAY_CANDLE_STORE_URL": url})
    assert found.candle_store == url


def test_what_cannot_work_is_told_at_the_start() -> None:
    """A folder in which tables would lose their history is refused, and so is a negative size."""
    environment = {"ASSAY_HOME": "/srv/C#/assay", "ASSAY_FRAME_CACHE_MB": "-1"}
    with pytest.raises(SettingsError) as caught:
        read_settings(DataSettings, environment)
    assert "ASSAY_HOME='/srv/C#/assay': delta-rs cannot keep tables" in str(caught.value)
    assert "ASSAY_FRAME_CACHE_MB" in str(caught.value)


def test_an_unusual_home_does_no_harm_where_tables_lie_elsewhere() -> None:
    """Spaces and other scripts are fine in any case."""
    elsewhere = {"ASSAY_HOME": "/C#", "ASSAY_CANDLE_STORE_URL": "s3://bucket"}
    assert read_settings(DataSettings, elsewhere).candle_store == "s3://bucket"
    assert read_settings(DataSettings, {"ASSAY_HOME": "/m\u00e9 2"}).candle_store.startswith("/m")
