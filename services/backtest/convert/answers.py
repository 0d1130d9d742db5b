"""Results to messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import metrics_pb2, strategy_pb2

from services.backtest.convert.execution_model import execution_message
from services.backtest.convert.jobs import BatchJob, RunJob
from services.backtest.convert.loaded_frame import LoadedFrame
from services.backtest.convert.values import value_message
from services.backtest.core.batch import BatchResult
from services.backtest.core.look_ahead import Difference, LookAheadResult
from services.backtest.core.measures.return_sums import ReturnSums
from services.backtest.core.metrics import INTEGER_METRICS, METRIC_NAMES
from services.backtest.core.single import SingleResult, Trade
from services.common.frames_codec import timestamp_from_ms

MOST_TRADES: Final = 10_000


def metrics_message(values: Mapping[str, float], reasons: Mapping[str, int]) -> metrics_pb2.Metrics:
    """Return metrics as a message; what has no value stays unset, with its reason."""
    message = metrics_pb2.Metrics()
    for name in METRIC_NAMES:
        if name in reasons:
            message.undefined.add(metric=name, reason=reasons[name])
        elif name in INTEGER_METRICS:
            setattr(message, name, int(values[name]))
        else:
            setattr(message, name, values[name])
    return message


_VALUES: Final = metrics_pb2.MetricColumn.DESCRIPTOR.fields_by_name["values"].number
_REASONS: Final = metrics_pb2.MetricColumn.DESCRIPTOR.fields_by_name["undefined_reasons"].number


_PLACES: Final = {field.name: field.number for field in pb.ReturnStatistics.DESCRIPTOR.fields}


def _pack(
    column: metrics_pb2.MetricColumn | pb.ReturnStatistics,
    field: int,
    values: npt.NDArray[np.float64] | npt.NDArray[np.uint8],
) -> None:
    """Fill a packed field with an array as it lies in memory.

    Packed doubles are their bytes, little-endian, and so are numbers below 128: this is the wire's
    own form, and twenty times as fast as one number after the other.
    """
    little_endian = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    if little_endian:
        length_delimited = bytes([field << 3 | 2])
        column.MergeFromString(length_delimited + _varint(len(little_endian)) + little_endian)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def batch_response(
    job: BatchJob, loaded: LoadedFrame, result: BatchResult
) -> pb.RunBacktestBatchResponse:
    """Return a batch as columns; undefined values are left out and their reasons told instead."""
    response = pb.RunBacktestBatchResponse(
        snapshot=loaded.snapshot.to_proto(),
        bar_count=loaded.frame.bar_count,
        missing_bar_count=loaded.missing_bar_count,
        synthetic=loaded.synthetic,
        execution=execution_message(job.execution, loaded.series, job.searched),
    )
    for name in job.metrics:
        response.columns.append(metric_column(name, result.values[name], result.reasons[name]))
    for failure in result.failures:
        response.failures.add(
            index=failure.index,
            reason=failure.reason,
            message=failure.message,
            metadata=failure.metadata,
        )
    if result.returns is not None:
        _add_returns(response.return_statistics, result.returns)
    return response


def metric_column(
    name: str, values: npt.NDArray[np.float64], reasons: npt.NDArray[np.uint8]
) -> metrics_pb2.MetricColumn:
    """Return one metric of many sets; undefined values are left out, their reasons told instead."""
    column = metrics_pb2.MetricColumn(metric=name)
    if reasons.any():
        _pack(column, _REASONS, reasons)
        values = values[reasons == 0]
    _pack(column, _VALUES, values)
    return column


def _add_returns(message: pb.ReturnStatistics, returns: ReturnSums) -> None:
    """Tell sums over daily returns, those of sets that have returns."""
    message.block_count = returns.sums.shape[1]
    message.day_count = returns.day_count
    message.dropped_day_count = returns.dropped_day_count
    message.block_day_count = returns.block_day_count
    message.standardized_set_count = returns.standardized_count
    defined = returns.reasons == 0
    if not defined.all():
        _pack(message, _PLACES["undefined_reasons"], returns.reasons)
    _pack(message, _PLACES["block_sums"], returns.sums[defined])
    _pack(message, _PLACES["block_square_sums"], returns.squares[defined])
    _pack(message, _PLACES["standardized_sums"], returns.standardized)
    _pack(message, _PLACES["daily_returns"], returns.daily[defined])


def run_response(job: RunJob, loaded: LoadedFrame, result: SingleResult) -> pb.RunBacktestResponse:
    """Return one backtest in the detail asked for, with everything that was used."""
    decided_at = int(result.open_time_ms[result.first_decision_index])
    response = pb.RunBacktestResponse(
        metrics=metrics_message(result.metrics, result.reasons),
        snapshot=loaded.snapshot.to_proto(),
        strategy=job.told,
        parameters=[
            strategy_pb2.ParameterAssignment(name=name, value=value_message(value))
            for name, value in (*job.values.items(), *job.given_execution.items())
        ],
        execution=execution_message(job.execution, loaded.series),
        first_decision_time=timestamp_from_ms(loaded.frame.interval.next_open_ms(decided_at)),
        bar_count=loaded.frame.bar_count,
        missing_bar_count=loaded.missing_bar_count,
        synthetic=loaded.synthetic,
    )
    if job.detail in {pb.DETAIL_TRADES, pb.DETAIL_EQUITY_CURVE}:
        response.trades.extend(_trade_message(trade) for trade in result.trades[:MOST_TRADES])
        response.omitted_trade_count = max(0, len(result.trades) - MOST_TRADES)
    if job.detail == pb.DETAIL_EQUITY_CURVE:
        response.equity_curve.open_time_ms.extend(result.open_time_ms.tolist())
        response.equity_curve.equity_quote.extend(result.equity.tolist())
        response.equity_curve.position_base.extend(result.position.tolist())
        response.equity_curve.drawdown_ratio.extend(result.drawdown.tolist())
    return response


def _trade_message(trade: Trade) -> pb.Trade:
    leave = trade.exit_time_ms
    return pb.Trade(
        side=strategy_pb2.Direction.ValueType(trade.side),
        entry_time=timestamp_from_ms(trade.entry_time_ms),
        exit_time=None if leave is None else timestamp_from_ms(leave),
        entry_price_quote=trade.entry_price_quote,
        exit_price_quote=trade.exit_price_quote,
        quantity_base=trade.quantity_base,
        fees_quote=trade.fees_quote,
        net_profit_quote=trade.net_profit_quote,
        bars_held=trade.bars_held,
        exit_reason=pb.Trade.ExitReason.ValueType(trade.exit_reason),
        adverse_excursion_ratio=trade.adverse_excursion_ratio,
        favorable_excursion_ratio=trade.favorable_excursion_ratio,
        funding_quote=trade.funding_quote,
        entry_count=trade.entry_count,
    )


def check_response(loaded: LoadedFrame, result: LookAheadResult) -> pb.CheckLookAheadResponse:
    """Return what a look for look-ahead found."""
    return pb.CheckLookAheadResponse(
        differences=map(_look_ahead, result.differences),
        omitted_difference_count=result.total - len(result.differences),
        cut_count=result.cut_count,
        snapshot=loaded.snapshot.to_proto(),
    )


def _look_ahead(difference: Difference) -> pb.LookAhead:
    return pb.LookAhead(
        signal=difference.signal,
        bar_time=timestamp_from_ms(difference.bar_time_ms),
        cut_time=timestamp_from_ms(difference.cut_time_ms),
        whole_value=difference.whole,
        cut_value=difference.cut,
    )
