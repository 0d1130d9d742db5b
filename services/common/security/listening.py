"""How a server listens: in plain text or with TLS, to everyone or to who has a token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2_grpc

from services.common.channel import transport_files
from services.common.security.authorization import AuthorizationInterceptor, KnownTokens
from services.common.security.roles import TokensInvalidError
from services.common.security.transport import server_credentials
from services.common.settings import ServiceSettings, SettingsError


@dataclass(frozen=True, slots=True)
class Listening:
    """What a server listens with, made of its settings.

    Attributes:
        address: Where.
        credentials: Of TLS; None for plain text.
        authorization: Lets calls in.
        health_address: Where health alone is answered, in plain text; None: nowhere.
        description: For the log: "plain", "tls" or "mtls", with "+tokens" where they are asked for.
    """

    address: str
    credentials: grpc.ServerCredentials | None
    authorization: AuthorizationInterceptor
    health_address: str | None
    description: str

    @classmethod
    def of(cls, settings: ServiceSettings, domain: str) -> Self:
        """Read the files that the settings name.

        Raises:
            SettingsError: names every one that cannot be used.
        """
        problems: list[str] = []
        mutual = settings.tls_client_certificate == "required"
        credentials, tokens = None, None
        try:
            files = transport_files(settings)
            credentials = server_credentials(files, client_certificate_required=mutual)
        except OSError as error:
            problems.append(f"a file of ASSAY_TLS_* cannot be read: {error}")
        try:
            tokens = KnownTokens(Path(settings.tokens_file)) if settings.tokens_file else None
        except (OSError, TokensInvalidError) as error:
            problems.append(f"ASSAY_TOKENS_FILE={settings.tokens_file!r}: {error}")
        if problems:
            raise SettingsError("; ".join(problems))
        words = "plain" if credentials is None else "mtls" if mutual else "tls"
        return cls(
            address=settings.listen_address,
            credentials=credentials,
            authorization=AuthorizationInterceptor(tokens, settings.stream_limit, domain),
            health_address=settings.health_address,
            description=f"{words}+tokens" if tokens else words,
        )

    def add_port(self, server: grpc.aio.Server) -> int:
        """Let a server listen; returns the port.

        Raises:
            RuntimeError: the address cannot be listened on.
        """
        if self.credentials is None:
            return server.add_insecure_port(self.address)
        return server.add_secure_port(self.address, self.credentials)

    def health_server(self, servicer: Any) -> grpc.aio.Server | None:
        """Return a server for health alone, not yet started; None where none is wanted.

        Raises:
            RuntimeError: its address cannot be listened on.
        """
        if self.health_address is None:
            return None
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        server.add_insecure_port(self.health_address)
        return server
