"""Settings of the data service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.common.settings import ServiceSettings, SettingsError

_BAD_IN_PATHS = frozenset("#?%[]|\\^")
"""delta-rs 1.6 takes paths for URLs: with these it loses the history, or panics."""


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
        """Refuse what cannot work; SettingsError names every such setting."""
        problems = self.service_problems()
        if self.frame_cache_mb < 0:
            problems.append("ASSAY_FRAME_CACHE_MB must be 0 or more")
        home = str(Path(self.home).absolute())
        found = sorted({letter for letter in home if letter in _BAD_IN_PATHS})
        if self.candle_store_url is None and found:
            problems.append(
                f"ASSAY_HOME={home!r}: delta-rs cannot keep tables below a folder with "
                f"{' '.join(found)} in its path"
            )
        if problems:
            raise SettingsError("; ".join(problems))

    @property
    def candle_store(self) -> str:
        """Folder or URL under which datasets lie."""
        return self.candle_store_url or f"{self.home}/datasets"
