"""Waiting for what is out of reach: again and again, with growing pauses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from services.common.errors import AssayError, Code
from services.optimizer.core.study.events import Clock

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS: Final = 0.2
LONGEST_RETRY_SECONDS: Final = 10.0

T = TypeVar("T")


async def patiently(call: Callable[[], Awaitable[T]], clock: Clock, what: str) -> T:
    """Await a call, again and again while it is UNAVAILABLE, with growing pauses.

    Raises:
        AssayError: any other the call raises.
    """
    pause = FIRST_RETRY_SECONDS
    while True:
        try:
            return await call()
        except AssayError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            logger.warning("study.waiting", extra={"for": what, "reason": error.reason})
        await clock.sleep(pause)
        pause = min(2 * pause, LONGEST_RETRY_SECONDS)
