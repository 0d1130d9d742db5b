"""`python -m services.backtest`: wires a worker together and serves until told to stop."""

from __future__ import annotations

import asyncio
import os
import sys

import grpc
from assay.backtest.v1 import backtest_service_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from services.backtest.adapters.frame_client import FrameClient
from services.backtest.adapters.plugins import install_plugins
from services.backtest.core.plugins.installation import PlugInInvalid
from services.backtest.core.warm_up import warm_up
from services.backtest.servicer import BacktestServicer
from services.backtest.settings import BacktestSettings
from services.backtest.slots import Slots
from services.common.server import Application, serve
from services.common.settings import SettingsError, read_settings

SERVICE = "assay.backtest.v1.BacktestService"
_MIB = 1024 * 1024


def application(settings: BacktestSettings) -> Application:
    """Build a worker; call it inside the event loop that will serve it."""
    frames = FrameClient(
        settings.data_address,
        cache_bytes=settings.frame_cache_mb * _MIB,
        timeout_seconds=settings.rpc_timeout_seconds,
        security=settings,
    )
    slots = Slots(settings.slot_count)
    start_time = Timestamp()
    start_time.GetCurrentTime()
    servicer = BacktestServicer(frames, slots, start_time)

    def register(server: grpc.aio.Server) -> None:
        backtest_service_pb2_grpc.add_BacktestServiceServicer_to_server(servicer, server)

    async def compile_kernels() -> None:
        await asyncio.to_thread(warm_up)

    async def close() -> None:
        await slots.close()
        await frames.close()

    return Application(
        name="backtest",
        service=SERVICE,
        domain="backtest.assay",
        register=register,
        warm_up=compile_kernels,
        close=close,
    )


async def _serve(settings: BacktestSettings) -> None:
    await serve(application(settings), settings)


def main() -> None:
    """Serve; exit code 2 when the settings or a plug-in cannot be used."""
    try:
        settings = read_settings(BacktestSettings, os.environ)
        install_plugins()
        asyncio.run(_serve(settings))
    except (SettingsError, PlugInInvalid) as error:
        print(f"services.backtest: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
        sys.exit(2)


if __name__ == "__main__":
    main()
