"""How the engine writes down trades and what it counts: columns, reasons, places."""

from __future__ import annotations

from typing import Final

# Columns of the trade table.
SIDE: Final = 0
ENTRY_BAR: Final = 1
EXIT_BAR: Final = 2
ENTRY_PRICE: Final = 3
EXIT_PRICE: Final = 4
QUANTITY: Final = 5
FEES: Final = 6
NET_PROFIT: Final = 7
EXIT_REASON: Final = 8
ADVERSE: Final = 9
FAVORABLE: Final = 10
FUNDING: Final = 11
ENTRY_COUNT: Final = 12
LIQUIDATION_LOSS: Final = 13
TRADE_COLUMNS: Final = 14

# Reasons of an exit, numbers of `Trade.ExitReason` in the contract.
OPEN: Final = 0
SIGNAL: Final = 1
REVERSAL: Final = 2
STOP_LOSS: Final = 3
TAKE_PROFIT: Final = 4
TRAILING_STOP: Final = 5
END: Final = 6
BUST: Final = 7
LIQUIDATION: Final = 8

# Places of what is counted.
HELD_BARS: Final = 0
AMBIGUOUS_BARS: Final = 1
GAP_FILLS: Final = 2
REJECTED_ORDERS: Final = 3
CONFLICTING_ENTRIES: Final = 4
BUSTS: Final = 5
LIQUIDATIONS: Final = 6
RESOLVED_BARS: Final = 7
ADDED_ENTRIES: Final = 8
COUNTS: Final = 9
