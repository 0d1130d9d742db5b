"""What authors of plug-ins import: everything here stays as it is.

A plug-in is a package with an entry point in the group `assay.indicators`. The entry point names an
`Operation` (an indicator), a `Definition` (a strategy), any iterable of them, or a callable without
arguments that returns such. `indicator` and `position_function` make them of compiled functions.
"""

from __future__ import annotations

from services.backtest.core.indicators.operation import Operation, Static
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.plugins.authoring import indicator, number, position_function
from services.backtest.core.strategies.definition import Definition, bars

__all__ = [
    "Definition",
    "Operation",
    "ParameterInfo",
    "ParameterType",
    "Static",
    "bars",
    "indicator",
    "number",
    "position_function",
]
