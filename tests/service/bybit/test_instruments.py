"""Listings become instruments in Assay's units, all pages of them."""

from __future__ import annotations

import pytest

from services.data.adapters.bybit import BybitSource
from services.data.core.ports import InstrumentId, InstrumentInfo
from tests.service.bybit.stand_in import LAUNCH_MS, StandIn


async def test_all_pages_of_a_market_are_read(exchange: StandIn, source: BybitSource) -> None:
    """The cursor is followed to the last page; instruments come by rising symbol."""
    exchange.instrument_page = 1

    found = await source.instruments("linear", None)

    assert [info.instrument.symbol for info in found] == sorted(exchange.listed["linear"])
    assert len(exchange.asked) == 4


async def test_a_perpetual_has_all_its_rules(source: BybitSource) -> None:
    """Sizes, leverage, funding interval and launch of a linear perpetual."""
    assert await source.instruments("linear", "BTCUSDT") == [
        InstrumentInfo(
            InstrumentId("bybit", "linear", "BTCUSDT"),
            base_currency="BTC",
            quote_currency="USDT",
            status="Trading",
            tick_size_quote=0.1,
            quantity_step_base=0.001,
            minimum_quantity_base=0.001,
            minimum_notional_quote=5.0,
            maximum_leverage=100.0,
            funding_interval_minutes=480,
            launch_time_ms=LAUNCH_MS,
        )
    ]


async def test_spot_has_other_rules(source: BybitSource) -> None:
    """Spot: step from basePrecision, smallest order by value; no leverage, funding or launch."""
    assert await source.instruments("spot", "BTCUSDT") == [
        InstrumentInfo(
            InstrumentId("bybit", "spot", "BTCUSDT"),
            base_currency="BTC",
            quote_currency="USDT",
            status="Trading",
            tick_size_quote=0.1,
            quantity_step_base=0.000001,
            minimum_notional_quote=5.0,
        )
    ]


async def test_inverse_sizes_are_values(source: BybitSource) -> None:
    """Inverse contracts are counted in quote currency: a size there is no base quantity."""
    (info,) = await source.instruments("inverse", "BTCUSD")

    assert (info.quantity_step_base, info.minimum_quantity_base) == (None, None)
    assert info.minimum_notional_quote == 0.001


async def test_a_dated_future_has_no_funding_interval(source: BybitSource) -> None:
    """An interval of zero means that there is none."""
    (info,) = await source.instruments("linear", "BTC-26DEC25")

    assert info.funding_interval_minutes is None


@pytest.mark.parametrize("category", ["linear", "inverse", "spot"])
async def test_a_symbol_that_is_not_listed_gives_no_instrument(
    source: BybitSource, category: str
) -> None:
    """Refused by one market and answered emptily by another: both are an empty list."""
    assert await source.instruments(category, "NOTACOINUSDT") == []
