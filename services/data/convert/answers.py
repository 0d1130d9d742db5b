"""Plain Python to answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import dataset_pb2
from assay.market.v1.candles_pb2 import CandleSnapshot, FundingColumns, TimeWindow

from services.common.frames_codec import CHUNK_ROWS, chunks, timestamp_from_ms
from services.data.core.catalog import SYNTHETIC
from services.data.core.dataset import Dataset, Gap, QualityReport
from services.data.core.fetching import Progress
from services.data.core.ports import FundingRates, InstrumentInfo
from services.data.core.reading import Frame, Wanted


def dataset_message(dataset: Dataset, *, with_gaps: bool = True) -> dataset_pb2.Dataset:
    """Return a dataset as the contract tells it."""
    kinds = dataset_pb2.Dataset.Kind
    is_funding = dataset.interval is None
    return dataset_pb2.Dataset(
        name=dataset.name,
        kind=kinds.KIND_FUNDING if is_funding else kinds.KIND_CANDLES,
        source=dataset.source,
        interval=_interval_number(dataset),  # type: ignore[arg-type]
        first_open_time=timestamp_from_ms(dataset.first_ms),
        last_open_time=timestamp_from_ms(dataset.last_ms),
        row_count=dataset.row_count,
        version=dataset.version,
        content_digest=dataset.content_digest,
        quality=_quality(dataset.quality, with_gaps=with_gaps),
        update_time=timestamp_from_ms(dataset.update_ms),
        synthetic=(
            dataset_pb2.SyntheticMarket(**asdict(dataset.synthetic)) if dataset.synthetic else None
        ),
    )


def progress_message(progress: Progress) -> pb.SyncDatasetResponse:
    """Return one message of a sync."""
    return pb.SyncDatasetResponse(
        fetched_row_count=progress.fetched_row_count,
        expected_row_count=progress.expected_row_count,
        dataset=dataset_message(progress.dataset) if progress.dataset else None,
    )


def frame_messages(
    frame: Frame, wanted: Wanted, row_limit: int
) -> Iterator[pb.ReadCandlesResponse]:
    """Yield the header of a frame, then its rows in chunks, at most `row_limit` rows unless 0."""
    yield pb.ReadCandlesResponse(
        header=pb.ReadCandlesHeader(
            snapshot=CandleSnapshot(
                dataset=frame.dataset.name,
                window=TimeWindow(
                    start_time=timestamp_from_ms(frame.window.start_ms),
                    end_time=timestamp_from_ms(frame.window.end_ms),
                ),
                lookback_bar_count=wanted.lookback_bar_count,
                content_digest=frame.content_digest,
            ),
            interval=_interval_number(frame.dataset),  # type: ignore[arg-type]
            row_count=len(frame.candles),
            lookback_row_count=frame.lookback_row_count,
            missing_bar_count=frame.missing_bar_count,
            synthetic=frame.dataset.source == SYNTHETIC,
        )
    )
    sent = frame.candles.slice(0, row_limit) if row_limit else frame.candles
    for columns in chunks(sent):
        yield pb.ReadCandlesResponse(candles=columns)


def funding_messages(rates: FundingRates) -> Iterator[pb.ReadFundingResponse]:
    """Yield funding rates in chunks; one empty chunk where there are none."""
    for start in range(0, max(len(rates), 1), CHUNK_ROWS):
        part = rates.slice(start, start + CHUNK_ROWS)
        yield pb.ReadFundingResponse(
            funding=FundingColumns(
                funding_time_ms=part.funding_time_ms.tolist(),
                funding_rate_ratio=part.funding_rate_ratio.tolist(),
            )
        )


def instrument_message(info: InstrumentInfo) -> dataset_pb2.Instrument:
    """Return an instrument as the contract tells it."""
    which = info.instrument
    launch = info.launch_time_ms
    return dataset_pb2.Instrument(
        name=f"instruments/{which.source}.{which.category}.{which.symbol}".lower(),
        symbol=which.symbol,
        base_currency=info.base_currency,
        quote_currency=info.quote_currency,
        status=info.status,
        tick_size_quote=info.tick_size_quote,
        quantity_step_base=info.quantity_step_base,
        minimum_quantity_base=info.minimum_quantity_base,
        minimum_notional_quote=info.minimum_notional_quote,
        maximum_leverage=info.maximum_leverage,
        funding_interval_minutes=info.funding_interval_minutes,
        launch_time=None if launch is None else timestamp_from_ms(launch),
    )


def _interval_number(dataset: Dataset) -> int:
    return dataset.interval.number if dataset.interval else 0


def _quality(report: QualityReport, *, with_gaps: bool) -> dataset_pb2.QualityReport:
    return dataset_pb2.QualityReport(
        gap_count=report.gap_count,
        missing_bar_count=report.missing_bar_count,
        gaps=[_gap(gap) for gap in report.gaps] if with_gaps else [],
        dropped_duplicate_count=report.dropped_duplicate_count,
        sorted_row_count=report.sorted_row_count,
        zero_volume_bar_count=report.zero_volume_bar_count,
    )


def _gap(gap: Gap) -> dataset_pb2.Gap:
    return dataset_pb2.Gap(
        start_time=timestamp_from_ms(gap.start_ms),
        end_time=timestamp_from_ms(gap.end_ms),
        missing_bar_count=gap.missing_bar_count,
    )
