"""The database's own time, by which leases run: replicas' clocks need not agree."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class NowMs(FunctionElement[int]):
    """Milliseconds since the epoch when the statement runs (not when its transaction began)."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(NowMs, "postgresql")
def _on_postgresql(_element: NowMs, _compiler: Any, **_options: Any) -> str:
    return "CAST(floor(extract(epoch from clock_timestamp()) * 1000) AS BIGINT)"


@compiles(NowMs, "sqlite")
def _on_sqlite(_element: NowMs, _compiler: Any, **_options: Any) -> str:
    # unixepoch('subsec') is missing in versions before 3.42; this is as exact.
    return "(strftime('%s', 'now') * 1000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER))"
