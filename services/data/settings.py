"""Settings of the data service."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.settings import ServiceSettings, SettingsError


@dataclass(frozen=True, slots=True)
class DataSettings(ServiceSettings):
    """What the data service reads from `ASSAY_*`.

    Attributes:
        listen_address: Where to listen.
        home: Folder of the embedded stores; datasets lie in its folder "datasets".
        candle_store_url: Where datasets lie instead, for example "s3://bucket/assay".
        redis_url: Redis for frames and for the shared rate limit; None does without.
        bybit_url: Address of the exchange instead of its own, for tests.
        frame_cache_mb: Memory for frames read lately.
    """

    listen_address: str = "127.0.0.1:50051"
    home: str = "./assay-home"
    candle_store_url: str | None = None
    redis_url: str | None = None
    bybit_url: str | None = None
    frame_cache_mb: int = 256

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense; SettingsError."""
        if self.frame_cache_mb < 0:
            raise SettingsError("ASSAY_FRAME_CACHE_MB must be 0 or more")

    @property
    def candle_store(self) -> str:
        """Folder or URL under which datasets lie."""
        return self.candle_store_url or f"{self.home}/datasets"
