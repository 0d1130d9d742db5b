"""A small service to be asked in every way, and certificates to ask it with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import data_service_pb2_grpc as rpc

from services.common.channel import connect
from services.common.security.roles import digest_of
from services.common.server import Application, running
from services.common.settings import ChannelSettings, ServiceSettings

SERVICE = "assay.data.v1.DataService"


class Echo(rpc.DataServiceServicer):
    """Answers everything, and streams until the caller goes."""

    async def GetDataset(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer."""
        return pb.GetDatasetResponse()

    async def DeleteDataset(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer."""
        return pb.DeleteDatasetResponse()

    async def ReadCandles(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Send a message and wait for the caller to go."""
        yield pb.ReadCandlesResponse()
        await asyncio.Event().wait()

    async def ImportCandles(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        """Answer at the end."""
        async for _ in request_iterator:
            pass
        return pb.ImportCandlesResponse()


async def _nothing() -> None:
    return None


@asynccontextmanager
async def served(settings: ServiceSettings | None = None) -> AsyncIterator[int]:
    """Serve the echo; yields the port."""
    application = Application(
        name="data",
        service=SERVICE,
        domain="data.assay",
        register=lambda server: rpc.add_DataServiceServicer_to_server(Echo(), server),
        warm_up=_nothing,
        close=_nothing,
    )
    async with running(application, settings=settings) as port:
        yield port


@asynccontextmanager
async def asked(port: int, security: ChannelSettings) -> AsyncIterator[Any]:
    """Yield a stub for the service at a port."""
    async with connect(f"127.0.0.1:{port}", SERVICE, security=security) as channel:
        yield rpc.DataServiceStub(channel)


@dataclass(frozen=True)
class Authority:
    """Signs certificates and writes them into a folder."""

    folder: Path
    signer: trustme.CA

    @property
    def file(self) -> str:
        """Its own certificate."""
        path = self.folder / "ca.pem"
        replace(path, self.signer.cert_pem.bytes())
        return str(path)

    def issue(self, name: str, host: str = "127.0.0.1", *, expired: bool = False) -> dict[str, Any]:
        """Write certificate and key of a process; returns the settings that name them."""
        until = datetime.now(UTC) + timedelta(days=-1 if expired else 30)
        issued = self.signer.issue_cert(
            host, not_before=until - timedelta(days=60), not_after=until
        )
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        replace(key, issued.private_key_pem.bytes())
        replace(certificate, b"".join(part.bytes() for part in issued.cert_chain_pems))
        return {"tls_certificate_file": str(certificate), "tls_key_file": str(key)}


def replace(path: Path, content: bytes) -> None:
    """Put new content in place of a file at once, as a cluster does."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def authority(folder: Path) -> Authority:
    """Return a new authority with files in a folder."""
    folder.mkdir(exist_ok=True)
    return Authority(folder, trustme.CA())


@dataclass(frozen=True)
class TokenFiles:
    """A tokens file for a service, and files with the tokens for callers."""

    folder: Path

    @property
    def known(self) -> str:
        """The service's file."""
        return str(self.folder / "tokens")

    def give(self, **roles: str) -> None:
        """Let callers in by tokens called after them, each with its role."""
        lines = [f"{name} {role} {digest_of(f'secret-{name}')}" for name, role in roles.items()]
        replace(self.folder / "tokens", "\n".join(["# callers", *lines]).encode())

    def of(self, name: str) -> ChannelSettings:
        """Return how somebody calls."""
        path = self.folder / name
        replace(path, f"secret-{name}\n".encode())
        return ChannelSettings(token_file=str(path))
