"""Appends generation after generation until it is killed: run by a test in a process of its own.

Prints each generation's number once it is stored.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

from services.optimizer.adapters.store.optuna_store import OptunaStore
from tests.service.optimizer_store.conftest import begin, generations


async def append_for_ever(database_url: str) -> None:
    """Make the study and fill it."""
    store = await OptunaStore.open(database_url)
    lease = await begin(store)
    for number in itertools.count():
        await store.append(lease, generations(8 * number, 8), number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(append_for_ever(sys.argv[1]))
