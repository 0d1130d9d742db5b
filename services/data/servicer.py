"""The DataService: messages outside, plain Python inside. Errors are common.status's matter."""
# ruff: noqa: N802, ARG002 - names and arguments are the contract's

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import data_service_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from services.common import VERSION
from services.common.errors import Violation, fields_invalid, unknown
from services.data.convert import answers, requests
from services.data.convert.fields import dataset_name, page
from services.data.convert.imports import Intake
from services.data.core.fetching import Fetcher
from services.data.core.importing import Importer
from services.data.core.making import Maker
from services.data.core.ports import DatasetStore, InstrumentSource
from services.data.core.reading import FrameReader

# Quoted: only the stubs know it as generic.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_DATASETS_A_PAGE = 100
_INSTRUMENTS_A_PAGE = 200


class DataServicer(data_service_pb2_grpc.DataServiceServicer):
    """Answers the RPCs of the data service."""

    def __init__(
        self,
        store: DatasetStore,
        reader: FrameReader,
        fetcher: Fetcher,
        maker: Maker,
        importer: Importer,
        exchanges: Mapping[str, InstrumentSource],
        start_time: Timestamp,
    ) -> None:
        self._store = store
        self._reader = reader
        self._fetcher = fetcher
        self._maker = maker
        self._importer = importer
        self._exchanges = exchanges
        self._start_time = start_time

    async def ListInstruments(
        self, request: pb.ListInstrumentsRequest, context: Context
    ) -> pb.ListInstrumentsResponse:
        """List what an exchange trades."""
        source, category, symbol = requests.instruments_wanted(request)
        found = await self._exchanges[source].instruments(category, symbol)
        chosen, token = page(
            found,
            lambda info: info.instrument.symbol,
            request.page_size,
            request.page_token,
            _INSTRUMENTS_A_PAGE,
        )
        return pb.ListInstrumentsResponse(
            instruments=[answers.instrument_message(info) for info in chosen],
            next_page_token=token,
        )

    async def ListDatasets(
        self, request: pb.ListDatasetsRequest, context: Context
    ) -> pb.ListDatasetsResponse:
        """List the stored datasets."""
        names, token = page(
            await self._store.names(),
            str,
            request.page_size,
            request.page_token,
            _DATASETS_A_PAGE,
        )
        found = [await self._store.find(name) for name in names]
        return pb.ListDatasetsResponse(
            datasets=[
                answers.dataset_message(dataset, with_gaps=False) for dataset in found if dataset
            ],
            next_page_token=token,
        )

    async def GetDataset(
        self, request: pb.GetDatasetRequest, context: Context
    ) -> pb.GetDatasetResponse:
        """Describe one dataset."""
        dataset = await self._reader.dataset(dataset_name(request.name).full)
        return pb.GetDatasetResponse(dataset=answers.dataset_message(dataset))

    async def SyncDataset(
        self, request: pb.SyncDatasetRequest, context: Context
    ) -> AsyncIterator[pb.SyncDatasetResponse]:
        """Fetch or make a dataset."""
        job = requests.sync_job(request)
        if isinstance(job, requests.MakeJob):
            steps = self._maker.make(job.name.full, job.interval, job.market, job.window)
        else:
            steps = self._fetcher.fetch(job.name, job.instrument, job.start_ms, job.end_ms)
        # A caller who hangs up must end the fetching too.
        async with aclosing(steps) as progress:
            async for step in progress:
                yield answers.progress_message(step)

    async def ImportCandles(
        self, request_iterator: AsyncIterator[pb.ImportCandlesRequest], context: Context
    ) -> pb.ImportCandlesResponse:
        """Store what the caller sends, all or nothing."""
        intake: Intake | None = None
        async for message in request_iterator:
            if intake is None:
                intake = Intake(message)
                await self._importer.admit(intake.name.full)
            else:
                intake.add(message)
        if intake is None:
            raise fields_invalid([Violation("header", "is required in the first message")])
        name = intake.name
        if intake.plan is not None:
            dataset = await self._importer.store_file(
                name.full, intake.content(), intake.plan, intake.accept
            )
        else:
            dataset = await self._importer.store(
                name.full, intake.upload(), name.interval, intake.accept
            )
        return pb.ImportCandlesResponse(dataset=answers.dataset_message(dataset))

    async def ReadCandles(
        self, request: pb.ReadCandlesRequest, context: Context
    ) -> AsyncIterator[pb.ReadCandlesResponse]:
        """Stream a frame of candles."""
        wanted = requests.read_candles(request)
        frame = await self._reader.frame(wanted)
        for message in answers.frame_messages(frame, wanted, request.row_limit):
            yield message

    async def ReadFunding(
        self, request: pb.ReadFundingRequest, context: Context
    ) -> AsyncIterator[pb.ReadFundingResponse]:
        """Stream funding rates."""
        name, span = requests.read_funding(request)
        for message in answers.funding_messages(await self._reader.funding(name, span)):
            yield message

    async def DeleteDataset(
        self, request: pb.DeleteDatasetRequest, context: Context
    ) -> pb.DeleteDatasetResponse:
        """Delete a dataset with all its versions."""
        name = dataset_name(request.name).full
        async with self._store.turn(name):
            found = await self._store.delete(name)
        if not found:
            raise unknown("dataset", name, await self._store.names(), "DATASET_UNKNOWN")
        return pb.DeleteDatasetResponse()

    async def GetServiceStatus(
        self, request: pb.GetServiceStatusRequest, context: Context
    ) -> pb.GetServiceStatusResponse:
        """Say what this process is doing."""
        tally = self._reader.tally
        cached = tally.memory + tally.shared
        return pb.GetServiceStatusResponse(
            version=VERSION,
            start_time=self._start_time,
            served_frame_count=cached + tally.store,
            cached_frame_count=cached,
        )
