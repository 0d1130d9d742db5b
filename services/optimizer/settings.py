"""Settings of the optimizer service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.common.settings import ServiceSettings, SettingsError


@dataclass(frozen=True, slots=True)
class OptimizerSettings(ServiceSettings):
    """What the optimizer reads besides what every service reads.

    Attributes:
        listen_address: Where to listen, `host:port`.
        home: Folder of the embedded store; made where it is missing.
        database_url: The study database as SQLAlchemy writes it; None: SQLite in `home`.
        backtest_address: Where the workers are: `host:port`, several with commas between, or any
            name gRPC resolves, such as `dns:///backtest:50052`.
        trial_limit: Most trials of a study.
        calls_at_once: Most calls to workers in flight, of all studies of this replica: more than
            the workers have slots, or some stay idle.
        study_limit: Most studies this replica runs at once; others wait, or run elsewhere.
        studies_per_caller: Most unfinished studies of one caller, by the name of its token; of all
            callers together where no tokens are asked for. None: any number.
        replica_name: Name of this replica, unlike any other's; None: made from host and process.
        lease_seconds: How long a study stays this replica's own without being renewed: the time
            after which another takes it over when this one dies.
        rpc_timeout_seconds: Longest wait for a worker's answer.
    """

    listen_address: str = "127.0.0.1:50053"
    home: str = "./assay-home"
    database_url: str | None = None
    backtest_address: str = "127.0.0.1:50052"
    trial_limit: int = 100_000
    calls_at_once: int = 16
    study_limit: int = 16
    studies_per_caller: int | None = None
    replica_name: str | None = None
    lease_seconds: float = 15.0
    rpc_timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense; SettingsError names every one."""
        problems = self.service_problems()
        problems += [
            f"ASSAY_{name.upper()} must be {wanted}"
            for name, wanted, good in (
                ("trial_limit", "1 to 1,000,000", 1 <= self.trial_limit <= 1_000_000),
                ("study_limit", "1 to 10,000", 1 <= self.study_limit <= 10_000),
                (
                    "studies_per_caller",
                    "1 to 1,000,000",
                    self.studies_per_caller is None or 1 <= self.studies_per_caller <= 1_000_000,
                ),
                ("calls_at_once", "1 to 4,096", 1 <= self.calls_at_once <= 4_096),
                ("lease_seconds", "0.3 to 3,600", 0.3 <= self.lease_seconds <= 3_600),
                ("replica_name", "1 to 63 characters", 1 <= len(self.replica_name or "-") <= 63),
                ("rpc_timeout_seconds", "above 0", self.rpc_timeout_seconds > 0),
            )
            if not good
        ]
        if problems:
            raise SettingsError("; ".join(problems))

    @property
    def store_url(self) -> str:
        """The study database's URL, resolved."""
        if self.database_url is not None:
            return self.database_url
        return f"sqlite:///{Path(self.home).absolute() / 'optimizer.sqlite3'}"

    @property
    def worker_target(self) -> str:
        """The workers' address as gRPC reads it."""
        address = self.backtest_address
        if "," not in address or ":///" in address or address.startswith(("ipv4:", "ipv6:")):
            return address
        return f"ipv4:{address}"
