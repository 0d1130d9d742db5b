"""Settings of the backtest service."""

from __future__ import annotations

import os
from dataclasses import dataclass

from services.common.settings import ServiceSettings, SettingsError


@dataclass(frozen=True, slots=True)
class BacktestSettings(ServiceSettings):
    """What a worker reads besides what every service reads.

    Attributes:
        listen_address: Where to listen, `host:port`.
        data_address: Where the data service is.
        slots: Batches run at once; 0 means one per CPU this process may use.
        frame_cache_mb: Most memory for candle frames kept for later calls, in MiB; 0 keeps none.
        rpc_timeout_seconds: Longest wait for a frame from the data service.
    """

    listen_address: str = "127.0.0.1:50052"
    data_address: str = "127.0.0.1:50051"
    slots: int = 0
    frame_cache_mb: int = 256
    rpc_timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense; SettingsError names every one."""
        problems = self.service_problems()
        problems += [
            f"ASSAY_{name.upper()} must be {wanted}"
            for name, wanted, good in (
                ("slots", "0 to 256", 0 <= self.slots <= 256),
                ("frame_cache_mb", "0 or more", self.frame_cache_mb >= 0),
                ("rpc_timeout_seconds", "above 0", self.rpc_timeout_seconds > 0),
            )
            if not good
        ]
        if problems:
            raise SettingsError("; ".join(problems))

    @property
    def slot_count(self) -> int:
        """Batches run at once, resolved."""
        return self.slots or len(os.sched_getaffinity(0))
