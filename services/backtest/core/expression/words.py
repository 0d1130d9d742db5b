"""The words and limits of the expression language."""

from __future__ import annotations

import re
from typing import Final

MOST_CHARACTERS: Final = 16_384
"""Characters of all texts of a definition together."""
MOST_NODES: Final = 1_000
"""Operations of all texts together, names and numbers included, before equal ones become one."""
MOST_DEPTH: Final = 64
"""How deep operations, and parentheses, stand in each other, terms written out."""
LARGEST_WHOLE: Final = 2**53
"""Beyond it float64 does not know every whole number."""

COLUMNS: Final = ("open", "high", "low", "close", "volume", "hour", "weekday")
FIRST_DECISION: Final = "first_decision"
TRUTHS: Final = ("true", "false")
CONNECTIVES: Final = ("and", "or", "not")

ARITHMETIC: Final = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
COMPARISONS: Final = {
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "==": "equal",
    "!=": "not_equal",
}
CROSSINGS: Final = ("crosses_above", "crosses_below")
FUNCTIONS: Final = {
    "abs": "abs(number)",
    "min": "min(a, b, ...)",
    "max": "max(a, b, ...)",
    "sqrt": "sqrt(number)",
    "crosses_above": "crosses_above(a, b)",
    "crosses_below": "crosses_below(a, b)",
    "if_else": "if_else(condition, a, b)",
    "on": 'on("4h", expression)',
    "choose": "choose(parameter, word = expression, ...)",
}
"""The functions that are no indicators, and how they are written."""

LANGUAGE_WORDS: Final = frozenset(
    (*COLUMNS, FIRST_DECISION, *TRUTHS, *CONNECTIVES, *FUNCTIONS),
)
"""Words that are no names of parameters, terms or indicators."""

OPERATION_NAMES: Final = frozenset(
    (
        *("constant", "parameter", "column", FIRST_DECISION, "negate", "absolute"),
        *("smaller", "larger", "square_root", "and", "or", "not", "if_else", "on", "choose"),
        *(*ARITHMETIC.values(), *COMPARISONS.values(), *CROSSINGS),
    )
)
"""Operations of nodes that are no indicators."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)


def is_name(text: str) -> bool:
    """Tell whether a text has the form of a name."""
    return _NAME.fullmatch(text) is not None
