"""The backtest service: runs strategies over candles. A worker: it holds caches, never state."""

from __future__ import annotations

import os

# numba reads this at its first import. Workers run many parameter sets in threads of their own,
# so threads of numba's inside a kernel would only fight with them.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
