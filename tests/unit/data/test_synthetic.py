"""Made-up markets are the same everywhere, longer on demand, and look like markets."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.frames import Candles
from services.common.intervals import YEAR_MS, Interval
from services.data.core.dataset import SyntheticMarket
from services.data.core.moments import from_iso
from services.data.core.ports import Span
from services.data.core.quality import Upload, check
from services.data.core.synthetic import CHUNK_BARS, candles, field_problems, price_decimals

START = from_iso("2024-01-01")
HOUR = 3_600_000


def market(interval: Interval, bars: int, **fields: float) -> Candles:
    """Make the first bars of a market."""
    end = START
    for _ in range(bars):
        end = interval.next_open_ms(end)
    made = SyntheticMarket(**fields)  # type: ignore[arg-type]
    return Candles.concatenate(candles(made, interval, Span(START, end)))


def test_a_market_has_the_same_bits_on_every_machine() -> None:
    """Golden digest: no processor, library version or operating system may change it."""
    made = market(Interval.HOUR_1, 2_000, seed=7)
    assert made.content_digest() == GOLDEN_DIGEST


def test_a_longer_market_begins_with_the_shorter_one() -> None:
    """Extending a window keeps every bar made before, also across the chunks of the making."""
    long = market(Interval.MINUTE_1, CHUNK_BARS + 500, seed=3)
    for bars in (1, 499, CHUNK_BARS, CHUNK_BARS + 1):
        short = market(Interval.MINUTE_1, bars, seed=3)
        assert short.content_digest() == long.slice(0, bars).content_digest()


def test_seeds_make_different_markets() -> None:
    """Two seeds share no path; negative seeds are seeds too."""
    digests = {market(Interval.HOUR_1, 50, seed=seed).content_digest() for seed in (-1, 0, 1)}
    assert len(digests) == 3


@given(
    seed=st.integers(-(2**63), 2**63 - 1),
    interval=st.sampled_from(list(Interval)),
    start=st.floats(0.01, 1e6),
    volatility=st.floats(0.01, 5),
    regime=st.integers(2, 100_000),
)
@settings(max_examples=40, deadline=None)
def test_every_market_passes_the_check_of_imports(
    seed: int, interval: Interval, start: float, volatility: float, regime: int
) -> None:
    """Whatever the fields, bars are sound, without gaps, and trade in every bar."""
    made = market(
        interval,
        60,
        seed=seed,
        start_price_quote=start,
        annual_volatility_ratio=volatility,
        mean_regime_bar_count=regime,
    )
    report = check(Upload(made), interval).report
    assert report.gap_count == 0
    assert report.zero_volume_bar_count == 0


def test_prices_are_short_decimals_and_bars_connect() -> None:
    """Each price is the double nearest to a decimal of the market's tick; opens follow closes."""
    made = market(Interval.HOUR_1, 500)
    decimals = price_decimals(30_000.0)
    assert decimals == 2
    for price in (*made.high.tolist(), *made.low.tolist()):
        assert price == float(Fraction(round(Fraction(price) * 10**decimals), 10**decimals))
    assert made.open[0] == 30_000.0
    assert made.open[1:].tolist() == made.close[:-1].tolist()


def test_volatility_is_what_was_asked_for() -> None:
    """Over many regimes the volatility of hourly returns is the wanted one within a tenth."""
    made = market(Interval.HOUR_1, 40_000, annual_volatility_ratio=0.8, mean_regime_bar_count=48)
    returns = np.diff(made.close) / made.close[:-1]
    measured = returns.std() * (YEAR_MS / HOUR) ** 0.5
    assert measured == pytest.approx(0.8, rel=0.1)


def test_regimes_switch() -> None:
    """Calm and stormy weeks differ by more than one random walk would."""
    made = market(Interval.HOUR_1, 168 * 100, mean_regime_bar_count=168)
    returns = np.diff(made.close) / made.close[:-1]
    weekly = [part.std() for part in np.array_split(returns, 100)]
    assert max(weekly) > 2.5 * min(weekly)


def test_every_field_out_of_bounds_is_told() -> None:
    """Three wrong fields are three violations; the bounds themselves are fine."""
    wrong = SyntheticMarket(0, float("nan"), 5.1, 1)
    assert [violation.field for violation in field_problems(wrong, "synthetic")] == [
        "synthetic.start_price_quote",
        "synthetic.annual_volatility_ratio",
        "synthetic.mean_regime_bar_count",
    ]
    assert not field_problems(SyntheticMarket(0, 0.01, 5.0, 100_000), "synthetic")


GOLDEN_DIGEST = "31c93641164ead8a384f1edb3ac0cc979ed3e079684436f35a6ca21eea4be890"
