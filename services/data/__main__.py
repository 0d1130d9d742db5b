"""`python -m services.data`: wires the data service together and serves until told to stop."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable

import grpc
from assay.data.v1 import data_service_pb2_grpc

from services.common.server import Application, serve
from services.common.settings import SettingsError, read_settings
from services.data.adapters.bybit import BybitSource
from services.data.adapters.candle_store import DeltaStore
from services.data.adapters.files import FileReader
from services.data.adapters.frame_cache import RedisFrameCache
from services.data.adapters.synthetic import SyntheticSource
from services.data.core.fetching import Fetcher
from services.data.core.importing import Importer
from services.data.core.making import Maker
from services.data.core.reading import FrameReader
from services.data.servicer import DataServicer
from services.data.settings import DataSettings

SERVICE = "assay.data.v1.DataService"
_MIB = 1024 * 1024


def clock_ms() -> int:
    """Return the time now, ms since the epoch."""
    return time.time_ns() // 1_000_000


def application(settings: DataSettings, clock: Callable[[], int] = clock_ms) -> Application:
    """Build the service; call it inside the event loop that will serve it."""
    store = DeltaStore(settings.candle_store)
    shared = RedisFrameCache(settings.redis_url) if settings.redis_url else None
    bybit = BybitSource(settings.bybit_url, clock, settings.redis_url)
    servicer = DataServicer(
        store=store,
        reader=FrameReader(store, shared, settings.frame_cache_mb * _MIB),
        fetcher=Fetcher(store, {"bybit": bybit}, clock),
        maker=Maker(store, SyntheticSource(), clock),
        importer=Importer(store, FileReader(), clock),
        exchanges={"bybit": bybit},
    )

    def register(server: grpc.aio.Server) -> None:
        data_service_pb2_grpc.add_DataServiceServicer_to_server(servicer, server)

    async def close() -> None:
        await bybit.close()
        if shared is not None:
            await shared.close()

    return Application(
        name="data",
        service=SERVICE,
        domain="data.assay",
        register=register,
        warm_up=store.open,
        close=close,
    )


async def _serve(settings: DataSettings) -> None:
    await serve(application(settings), settings)


def main() -> None:
    """Serve; exit code 2 when the settings cannot be used."""
    try:
        settings = read_settings(DataSettings, os.environ)
        asyncio.run(_serve(settings))
    except SettingsError as error:
        print(f"services.data: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
        sys.exit(2)


if __name__ == "__main__":
    main()
