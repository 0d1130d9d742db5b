"""Settings: `ASSAY_*` environment variables, parsed once into frozen dataclasses. Pure.

The whole vocabulary stands here, because one environment often serves several processes. A name
outside it is refused: a misspelt setting must not be a silent default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

KNOWN_NAMES = frozenset(
    {
        "ASSAY_HOME",
        "ASSAY_DATA_ADDRESS",
        "ASSAY_BACKTEST_ADDRESS",
        "ASSAY_OPTIMIZER_ADDRESS",
        "ASSAY_LISTEN_ADDRESS",
        "ASSAY_DATABASE_URL",
        "ASSAY_REDIS_URL",
        "ASSAY_CANDLE_STORE_URL",
        "ASSAY_BYBIT_URL",
        "ASSAY_SLOTS",
        "ASSAY_FRAME_CACHE_MB",
        "ASSAY_DRAIN_SECONDS",
        "ASSAY_LOG_FORMAT",
        "ASSAY_LOG_LEVEL",
        "ASSAY_TRIAL_LIMIT",
        "ASSAY_CALLS_AT_ONCE",
        "ASSAY_STUDY_LIMIT",
        "ASSAY_STUDIES_PER_CALLER",
        "ASSAY_REPLICA_NAME",
        "ASSAY_LEASE_SECONDS",
        "ASSAY_RPC_TIMEOUT_SECONDS",
        "ASSAY_TLS_CA_FILE",
        "ASSAY_TLS_CERTIFICATE_FILE",
        "ASSAY_TLS_KEY_FILE",
        "ASSAY_TLS_SERVER_NAME",
        "ASSAY_TLS_CLIENT_CERTIFICATE",
        "ASSAY_TOKEN_FILE",
        "ASSAY_TOKENS_FILE",
        "ASSAY_STREAM_LIMIT",
        "ASSAY_HEALTH_ADDRESS",
        "ASSAY_METRICS_ADDRESS",
        "ASSAY_OTLP_ENDPOINT",
    }
)


class SettingsError(Exception):
    """The environment holds settings that cannot be used; the message names every one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """How a process speaks to services.

    Attributes:
        tls_ca_file: PEM certificates of who signs the others. With it channels speak TLS.
        tls_certificate_file: PEM certificate of this process. A service with it speaks TLS.
        tls_key_file: PEM private key of that certificate.
        tls_server_name: Name in the certificates of services, where it is not that of the address.
        token_file: Holds the token to call services with.
    """

    tls_ca_file: str | None = None
    tls_certificate_file: str | None = None
    tls_key_file: str | None = None
    tls_server_name: str | None = None
    token_file: str | None = None

    def channel_problems(self) -> list[str]:
        """Name the settings that do not go together."""
        problems = []
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            problems.append("ASSAY_TLS_CERTIFICATE_FILE and ASSAY_TLS_KEY_FILE go together")
        if self.tls_server_name is not None and self.tls_ca_file is None:
            problems.append("ASSAY_TLS_SERVER_NAME needs ASSAY_TLS_CA_FILE")
        return problems


@dataclass(frozen=True, slots=True)
class ServiceSettings(ChannelSettings):
    """What every service reads.

    Attributes:
        listen_address: Where to listen, `host:port`; port 0 takes a free one.
        drain_seconds: Time for calls in hand after SIGTERM.
        log_format: "text" for people, "json" for machines.
        log_level: "debug", "info", "warning" or "error".
        tls_client_certificate: Whether callers must show a certificate, "required" or "none".
        tokens_file: Who may call, by tokens; None lets everyone call everything.
        stream_limit: Most streams one caller may have open at once.
        health_address: A second address, `host:port`, that answers health alone, in plain text;
            None: health is asked for where everything else is.
        metrics_address: Where Prometheus finds metrics, `host:port`; None: nowhere.
        otlp_endpoint: Where traces go, `http://host:4317` or `https://...`; None: none are made.
    """

    listen_address: str
    drain_seconds: float = 25.0
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tls_client_certificate: Literal["none", "required"] = "none"
    tokens_file: str | None = None
    stream_limit: int = 1_000
    health_address: str | None = None
    metrics_address: str | None = None
    otlp_endpoint: str | None = None

    def service_problems(self) -> list[str]:
        """Name the settings that do not go together, or make no sense."""
        problems = self.channel_problems()
        if self.tls_client_certificate == "required" and not (
            self.tls_ca_file and self.tls_certificate_file
        ):
            problems.append(
                "ASSAY_TLS_CLIENT_CERTIFICATE=required needs ASSAY_TLS_CERTIFICATE_FILE and "
                "ASSAY_TLS_CA_FILE"
            )
        if not 1 <= self.stream_limit <= 1_000_000:
            problems.append("ASSAY_STREAM_LIMIT must be 1 to 1,000,000")
        return problems


S = TypeVar("S")


def read_settings(kind: type[S], environment: Mapping[str, str], **defaults: object) -> S:
    """Make a settings dataclass of the environment.

    A field `listen_address` is read from `ASSAY_LISTEN_ADDRESS`; its type (str, int, float, bool,
    one of them with None, or a Literal of words) says how. `defaults` replace the class's own.
    Floats are lengths of time: finite, 0 or more.

    Raises:
        SettingsError: names every unknown variable, every value that cannot be read and every
            missing one.
    """
    problems = _unknown_names(environment)
    values: dict[str, object] = {}
    kinds = get_type_hints(kind)
    for field in fields(kind):  # type: ignore[arg-type]
        name = f"ASSAY_{field.name.upper()}"
        if environment.get(name, "") != "":
            try:
                values[field.name] = _parse(kinds[field.name], environment[name])
            except ValueError as error:
                problems.append(f"{name}={environment[name]!r}: {error}")
        elif field.name in defaults:
            values[field.name] = defaults[field.name]
        elif field.default is MISSING:
            problems.append(f"{name} is required")
    if problems:
        raise SettingsError("; ".join(problems))
    return kind(**values)


def _unknown_names(environment: Mapping[str, str]) -> list[str]:
    unknown = sorted(
        name for name in environment if name.startswith("ASSAY_") and name not in KNOWN_NAMES
    )
    return [f"{name} is not a setting{_nearest(name)}" for name in unknown]


def _nearest(name: str) -> str:
    close = get_close_matches(name, KNOWN_NAMES, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _parse(kind: object, text: str) -> object:
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError(f"say one of {', '.join(get_args(kind))}")
        return text
    kinds = set(get_args(kind)) or {kind}
    if bool in kinds:
        if text.lower() not in {"true", "false"}:
            raise ValueError("say true or false")
        return text.lower() == "true"
    if int in kinds:
        return int(text)
    if float not in kinds:
        return text
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError("say a finite number, 0 or more")
    return number
