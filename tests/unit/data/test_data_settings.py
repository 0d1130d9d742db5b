"""The data service finds its store by its settings."""

from __future__ import annotations

from services.common.settings import read_settings
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
