"""`return_statistics`: sums over daily returns beside the metrics, through the wire."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.common.errors import Code
from tests.service.backtest.calls import Stub, batch_request, refusal

FAST = [5, 9_999, 3, 9_999]
"""The second and the last are longer than the window."""


async def test_sharpe_ratios_follow_from_the_sums(worker: Stub) -> None:
    """With a day in each block all days count, and sets that cannot be run are left out."""
    probe = await worker.RunBacktestBatch(
        batch_request([5], metrics=["trade_count"], return_statistics={})
    )
    told = probe.return_statistics
    assert told.block_count == 16
    assert told.dropped_day_count == told.day_count % 16
    assert told.block_day_count == told.day_count // 16
    answer = await worker.RunBacktestBatch(
        batch_request(FAST, metrics=["sharpe_ratio"], return_statistics={"block_count": 2})
    )
    found = answer.return_statistics
    assert list(found.undefined_reasons) == [0, 7, 0, 7]
    assert (len(found.block_sums), len(found.standardized_sums)) == (4, found.day_count)
    assert found.standardized_set_count == 2
    if found.dropped_day_count == 0:
        days = found.day_count
        for number in range(2):
            total = sum(found.block_sums[2 * number : 2 * number + 2])
            squares = sum(found.block_square_sums[2 * number : 2 * number + 2])
            deviation = math.sqrt((squares - total**2 / days) / (days - 1))
            sharpe = total / days / deviation * math.sqrt(365)
            assert sharpe == pytest.approx(answer.columns[0].values[number], rel=1e-9)


async def test_two_calls_add_up_to_one(worker: Stub) -> None:
    """Blocks to the bit, the sums over sets but for rounding."""
    usual = {"metrics": ["trade_count"], "return_statistics": {"block_count": 4}}
    whole = (await worker.RunBacktestBatch(batch_request([5, 3, 9], **usual))).return_statistics
    one = (await worker.RunBacktestBatch(batch_request([5], **usual))).return_statistics
    rest = (await worker.RunBacktestBatch(batch_request([3, 9], **usual))).return_statistics
    assert [*one.block_sums, *rest.block_sums] == list(whole.block_sums)
    assert [*one.block_square_sums, *rest.block_square_sums] == list(whole.block_square_sums)
    together = np.add(one.standardized_sums, rest.standardized_sums)
    np.testing.assert_allclose(together, whole.standardized_sums, rtol=1e-9, atol=1e-12)


async def test_nothing_is_told_unasked(worker: Stub) -> None:
    """The field stays unset."""
    answer = await worker.RunBacktestBatch(batch_request([5], metrics=["trade_count"]))
    assert not answer.HasField("return_statistics")


@pytest.mark.parametrize("count", [0, 1, 3, 66, -2])
async def test_blocks_can_be_halved(worker: Stub, count: int) -> None:
    """An odd number of blocks, none, or too many are refused."""
    wrong = batch_request([5], return_statistics={"block_count": count})
    error = await refusal(worker.RunBacktestBatch(wrong))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [one.field for one in error.violations] == ["return_statistics.block_count"]


async def test_returns_and_blocks_of_given_lengths_are_told(worker: Stub) -> None:
    """Each set's own, those of sets that cannot be run left out; the sums follow from them."""
    wanted = {"block_day_counts": [2, 1], "daily_returns": True}
    answer = await worker.RunBacktestBatch(
        batch_request(FAST, metrics=["sharpe_ratio"], return_statistics=wanted)
    )
    told = answer.return_statistics
    returns = np.array(told.daily_returns).reshape(2, told.day_count)
    sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1) * math.sqrt(365)
    np.testing.assert_allclose(answer.columns[0].values, sharpes, rtol=1e-9)
    assert (told.block_count, told.block_day_count) == (2, 0)
    assert told.dropped_day_count == told.day_count - 3
    sums = [[*own[-3:-1]] for own in returns]
    found = np.array(told.block_sums).reshape(2, 2)
    np.testing.assert_allclose(found[:, 0], np.sum(sums, axis=1), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found[:, 1], returns[:, -1])
    same = np.array(told.block_square_sums).reshape(2, 2)
    np.testing.assert_array_equal(same[:, 1], returns[:, -1] ** 2)


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ({"block_day_counts": [1, 0]}, ["block_day_counts"]),
        ({"block_day_counts": [1] * 129}, ["block_day_counts"]),
        ({"block_day_counts": [1], "block_count": 2}, ["block_day_counts"]),
        ({"block_day_counts": [1, -1], "block_count": 3}, ["block_count", "block_day_counts"]),
        ({"block_day_counts": [1_000_000, 1]}, ["block_day_counts"]),
    ],
)
async def test_blocks_must_fit_the_days(
    worker: Stub, wanted: dict[str, object], fields: list[str]
) -> None:
    """Lengths without sense, and more days than the window has."""
    error = await refusal(worker.RunBacktestBatch(batch_request([5], return_statistics=wanted)))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [one.field for one in error.violations] == [f"return_statistics.{one}" for one in fields]


async def test_returns_that_no_answer_holds_are_refused(worker: Stub) -> None:
    """With the limit, which an answer under it keeps."""
    probe = await worker.RunBacktestBatch(
        batch_request([5], metrics=["trade_count"], return_statistics={"daily_returns": True})
    )
    days = probe.return_statistics.day_count
    most = (450_000 - days) // (days + 32)
    wanted = {"daily_returns": True}
    if most <= 10_000:
        sets = [5] * most
        fitting = batch_request(sets, metrics=["trade_count"], return_statistics=wanted)
        answer = await worker.RunBacktestBatch(fitting)
        assert answer.ByteSize() < 4 * 1024 * 1024
        wrong = batch_request([*sets, 5], return_statistics=wanted)
        error = await refusal(worker.RunBacktestBatch(wrong))
        assert [one.field for one in error.violations] == ["return_statistics.daily_returns"]
        assert "450,000" in error.violations[0].description
