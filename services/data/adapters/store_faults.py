"""What goes wrong below a candle store: no room, no rights, no network."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from deltalake.exceptions import DeltaError

from services.common.errors import unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def asked(work: Callable[[], T]) -> T:
    """Ask the store in a thread.

    Raises:
        AssayError: UNAVAILABLE/STORE_UNAVAILABLE where what it stands on does not do its part; the
            log says what that was.
    """
    try:
        return await asyncio.to_thread(work)
    except (DeltaError, OSError) as error:
        logger.warning("store.unavailable", extra={"problem": str(error)})
        raise unavailable(
            "STORE_UNAVAILABLE",
            "the candle store cannot be read or written now, for example for want of room; "
            "the service's log says why",
        ) from error
