"""TLS for servers and channels, with certificates that may be replaced while a process runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from services.common.security.watched_files import WatchedFiles


@dataclass(frozen=True, slots=True)
class TransportFiles:
    """PEM files of a process.

    Attributes:
        authority: Certificates of who signs the others; a channel with it speaks TLS.
        certificate: This process's own certificate with what leads to the authority; a server with
            it speaks TLS, a channel shows it to servers that ask.
        key: Its private key.
        server_name: Name that servers' certificates must have instead of that of the address.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None


def server_credentials(
    files: TransportFiles, *, client_certificate_required: bool
) -> grpc.ServerCredentials | None:
    """Return what a server listens with; None without a certificate.

    Replaced files count from the next handshake on; connections there are stay as they are.

    Raises:
        OSError: a file cannot be read.
    """
    if files.certificate is None or files.key is None:
        return None
    paths = [files.key, files.certificate]
    if client_certificate_required and files.authority is not None:
        paths.append(files.authority)
    watched = WatchedFiles(paths)

    def configuration() -> grpc.ServerCertificateConfiguration:
        key, certificate, *authority = watched.contents
        return grpc.ssl_server_certificate_configuration(
            [(key, certificate)], root_certificates=authority[0] if authority else None
        )

    def current() -> grpc.ServerCertificateConfiguration:
        watched.changed()
        return configuration()

    return grpc.dynamic_ssl_server_credentials(
        configuration(), current, require_client_authentication=client_certificate_required
    )


class ChannelFiles:
    """What a channel's TLS is made of, and whether it has changed since."""

    def __init__(self, files: TransportFiles) -> None:
        """Read the files.

        Raises:
            OSError: one of them cannot be read.
            ValueError: there is no authority.
        """
        if files.authority is None:
            raise ValueError("a channel needs an authority to speak TLS")
        own = [files.key, files.certificate] if files.key and files.certificate else []
        self._watched = WatchedFiles([files.authority, *own])

    def changed(self) -> bool:
        """Tell whether a file has been replaced; from then on the new ones are used."""
        return self._watched.changed()

    def credentials(self) -> grpc.ChannelCredentials:
        """Return credentials of the files as they were last read."""
        authority, *own = self._watched.contents
        key, certificate = own or (None, None)
        return grpc.ssl_channel_credentials(authority, key, certificate)
