"""TLS between processes: who is believed, who is not, and what happens when certificates change."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from assay.data.v1 import data_service_pb2 as pb
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.settings import ChannelSettings, ServiceSettings, SettingsError
from tests.private_servers import free_port
from tests.service.common.secured_service import Authority, asked, authority, served

LISTEN = "127.0.0.1:0"


def server(ours: Authority, **more: Any) -> ServiceSettings:
    """Return settings of a service with a certificate of ours."""
    return ServiceSettings(LISTEN, **ours.issue("server"), **more)


def mutual(ours: Authority) -> ServiceSettings:
    """Return settings of a service that wants to see certificates of ours."""
    return server(ours, tls_ca_file=ours.file, tls_client_certificate="required")


async def code_of(stub: Any) -> grpc.StatusCode:
    """Ask once and return the code of the answer."""
    try:
        await stub.GetDataset(pb.GetDatasetRequest(), timeout=20)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def code_over(port: int, security: ChannelSettings) -> grpc.StatusCode:
    """Ask once over a channel of its own."""
    async with asked(port, security) as stub:
        return await code_of(stub)


async def test_a_service_with_a_certificate_is_asked_over_tls(ours: Authority) -> None:
    """Who believes the authority gets through; who speaks plain text does not."""
    async with served(server(ours)) as port:
        assert await code_over(port, ChannelSettings(tls_ca_file=ours.file)) is grpc.StatusCode.OK
        assert await code_over(port, ChannelSettings()) is grpc.StatusCode.UNAVAILABLE


async def test_a_service_of_another_authority_is_not_believed(
    ours: Authority, theirs: Authority
) -> None:
    """A stranger in the service's place gets no call."""
    async with served(server(theirs)) as port:
        code = await code_over(port, ChannelSettings(tls_ca_file=ours.file))

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_a_service_under_another_name_is_believed_only_by_that_name(ours: Authority) -> None:
    """The certificate's name counts, not that somebody of ours signed it."""
    settings = ServiceSettings(LISTEN, **ours.issue("server", host="backtest.example"))
    caller = ChannelSettings(tls_ca_file=ours.file)
    async with served(settings) as port:
        assert await code_over(port, caller) is grpc.StatusCode.UNAVAILABLE
        named = replace(caller, tls_server_name="backtest.example")
        assert await code_over(port, named) is grpc.StatusCode.OK


async def test_an_expired_certificate_is_not_believed(ours: Authority) -> None:
    """Neither a service's nor a caller's."""
    expired = ours.issue("expired", expired=True)
    async with served(ServiceSettings(LISTEN, **expired)) as port:
        code = await code_over(port, ChannelSettings(tls_ca_file=ours.file))
        assert code is grpc.StatusCode.UNAVAILABLE
    async with served(mutual(ours)) as port:
        code = await code_over(port, ChannelSettings(tls_ca_file=ours.file, **expired))
        assert code is grpc.StatusCode.UNAVAILABLE


async def test_with_mutual_tls_callers_show_certificates(
    ours: Authority, theirs: Authority
) -> None:
    """One of ours gets through; none, or one of theirs, does not."""
    async with served(mutual(ours)) as port:
        believing = ChannelSettings(tls_ca_file=ours.file)
        for own, code in (
            (ours.issue("caller"), grpc.StatusCode.OK),
            (theirs.issue("caller"), grpc.StatusCode.UNAVAILABLE),
            ({}, grpc.StatusCode.UNAVAILABLE),
        ):
            assert await code_over(port, replace(believing, **own)) is code


async def test_certificates_are_replaced_without_a_restart(ours: Authority, tmp_path: Path) -> None:
    """Both sides take up new files: an authority that follows another, on the same channel."""
    settings = mutual(ours)
    caller = ChannelSettings(tls_ca_file=ours.file, **ours.issue("caller"))
    async with served(settings) as port, asked(port, caller) as stub:
        assert await code_of(stub) is grpc.StatusCode.OK
        successor = Authority(ours.folder, authority(tmp_path / "next").signer)
        successor.issue("server")
        successor.issue("caller")
        assert successor.file == caller.tls_ca_file

        assert await code_of(stub) is grpc.StatusCode.OK
        assert await code_over(port, caller) is grpc.StatusCode.OK
        old = Authority(tmp_path / "old", ours.signer)
        old.folder.mkdir()
        stale = ChannelSettings(tls_ca_file=old.file, **old.issue("caller"))
        assert await code_over(port, stale) is grpc.StatusCode.UNAVAILABLE


async def test_health_has_a_plain_port_of_its_own(ours: Authority) -> None:
    """Probes without certificates are answered there, and nothing else is."""
    address = f"127.0.0.1:{free_port()}"
    async with (
        served(replace(mutual(ours), health_address=address)),
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        other: Any = channel.unary_unary("/assay.data.v1.DataService/GetDataset")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await other(b"", timeout=20)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_files_that_cannot_be_read_are_all_named(tmp_path: Path) -> None:
    """A service does not start half-secured."""
    missing = str(tmp_path / "missing")
    settings = ServiceSettings(
        LISTEN, tls_certificate_file=missing, tls_key_file=missing, tokens_file=missing
    )
    with pytest.raises(SettingsError, match=r"ASSAY_TLS_\*.*ASSAY_TOKENS_FILE"):
        async with served(settings):
            pass


def test_settings_that_do_not_go_together_are_all_named() -> None:
    """A key without its certificate, and certificates wanted without an authority."""
    settings = ServiceSettings(LISTEN, tls_key_file="key", tls_client_certificate="required")

    problems = settings.service_problems()

    assert [problem.split()[0] for problem in problems] == [
        "ASSAY_TLS_CERTIFICATE_FILE",
        "ASSAY_TLS_CLIENT_CERTIFICATE=required",
    ]
    assert asdict(settings)["tls_key_file"] == "key"
