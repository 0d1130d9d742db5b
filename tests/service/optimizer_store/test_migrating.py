"""`python -m services.optimizer migrate` on real databases."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
import sqlalchemy as sa

from services.optimizer.adapters.store.study_tables import METADATA


async def _run(*words: str, **settings: str) -> tuple[int, str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("ASSAY_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.optimizer", *words),
        env=environment | settings,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await asyncio.wait_for(process.communicate(), 180)
    return process.returncode or 0, told.decode()


async def test_tables_are_made_by_however_many_at_once(database_url: str) -> None:
    """Jobs and replicas that start together do not disturb each other; a repetition is fine."""
    together = await asyncio.gather(
        *(_run("migrate", ASSAY_DATABASE_URL=database_url) for _ in range(2))
    )
    again = await _run("migrate", ASSAY_DATABASE_URL=database_url)

    assert [status for status, _ in [*together, again]] == [0] * 3, together
    engine = sa.create_engine(sa.make_url(database_url))
    assert set(METADATA.tables) | {"trials", "studies"} <= set(sa.inspect(engine).get_table_names())
    engine.dispose()


@pytest.mark.parametrize(
    ("words", "status"), [(("migrat",), 1), (("migrate", "now"), 1), (("migrate",), 2)]
)
async def test_what_is_wrong_is_told_at_once(words: tuple[str, ...], status: int) -> None:
    """An unknown command or setting ends the process before it touches a database."""
    found, told = await _run(*words, ASSAY_NO_SUCH_SETTING="x")

    assert found == status
    assert told
