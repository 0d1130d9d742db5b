"""Frames of candles, their digest and their way over the wire."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import frames_codec
from services.common.frames import Candles

PRICES = st.lists(
    st.floats(min_value=1e-8, max_value=1e9, allow_nan=False), min_size=1, max_size=60
)


def frame_of(prices: list[float]) -> Candles:
    """Return a frame that holds these prices in every column."""
    times = [1_700_000_000_000 + 60_000 * place for place in range(len(prices))]
    return Candles.from_columns([times, *([prices] * 5)])


def test_the_digest_is_what_the_contract_says() -> None:
    """A stranger can compute it with struct and hashlib."""
    frame = Candles.from_columns([[1, 2], [1.5, 2.5], [3, 4], [0.1, 0.2], [1, 2], [7, 8]])
    content = struct.pack("<2q", 1, 2)
    for column in ([1.5, 2.5], [3, 4], [0.1, 0.2], [1, 2], [7, 8]):
        content += struct.pack("<2d", *column)

    assert frame.content_digest() == hashlib.sha256(content).hexdigest()


@given(PRICES, st.integers(1, 20))
def test_a_frame_survives_the_wire_bit_for_bit(prices: list[float], rows: int) -> None:
    """Chunks joined again are the frame."""
    frame = frame_of(prices)
    parts = [frames_codec.from_proto(chunk) for chunk in frames_codec.chunks(frame, rows)]

    assert all(len(part) <= rows for part in parts)
    assert Candles.concatenate(parts).content_digest() == frame.content_digest()


@given(PRICES, st.data())
def test_any_changed_bit_changes_the_digest(prices: list[float], data: st.DataObject) -> None:
    """No two contents share a name."""
    frame = frame_of(prices)
    place = data.draw(st.integers(0, len(prices) - 1))
    changed = frame_of(prices)
    changed.low[place] = np.nextafter(changed.low[place], np.inf)

    assert changed.content_digest() != frame.content_digest()


def test_columns_of_unequal_length_are_refused() -> None:
    """A frame is a table."""
    with pytest.raises(ValueError, match="length"):
        Candles.from_columns([[1, 2], [1.0], [1.0], [1.0], [1.0], [1.0]])


@given(st.integers(0, 4_000_000_000_000))
def test_times_survive_the_wire(ms: int) -> None:
    """Milliseconds are kept exactly."""
    assert frames_codec.ms_from_timestamp(frames_codec.timestamp_from_ms(ms)) == ms
