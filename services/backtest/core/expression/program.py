"""What a strategy definition becomes: a flat list of operations that point back at each other."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a node gives."""

    WHOLE = "a whole number"
    NUMBER = "a number"
    CONDITION = "a condition"
    WORD = "a word"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation over earlier nodes.

    Operations by name: "constant" (`value`: int, float or bool), "parameter" (`value`: its name),
    "column" (`value`: open, high, low, close, volume, hour or weekday), "first_decision"; "add",
    "subtract", "multiply", "divide", "negate", "absolute", "smaller", "larger", "square_root";
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "crosses_above",
    "crosses_below"; "and", "or", "not"; "if_else" (condition, then, else); "on" (`value`: interval
    label); "choose" (`value`: the parameter's name and the words, one per input, in the order of
    the inputs); and the names of the indicators.

    Attributes:
        operation: Its name.
        inputs: Places of the nodes it works on, bar by bar, all smaller than its own.
        statics: Places of the nodes that give an indicator's periods and factors.
        kind: What it gives.
        static: Whether it gives the same at every bar, so that it depends on parameters alone.
            WHOLE and WORD always do.
        value: What only this operation needs, see above; else None.
        field: Field of the definition whose text it stands in, for example "enter_long".
        position: Character of the text it begins at, from 0.
    """

    operation: str
    inputs: tuple[int, ...]
    statics: tuple[int, ...]
    kind: Kind
    static: bool
    value: object
    field: str
    position: int


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition every parameter set must meet.

    Attributes:
        place: Its node, static and a condition.
        text: It as written.
    """

    place: int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A checked strategy definition.

    Equal operations over equal nodes are one node, whatever texts they stand in.

    Attributes:
        nodes: The operations; inputs come before what uses them.
        signals: Places of "enter_long", "exit_long", "enter_short", "exit_short", those given.
        distances: Places of "stop_loss", "take_profit", "trailing_stop", "position_fraction", those
            given; numbers.
        requirements: Conditions on parameters.
    """

    nodes: tuple[Node, ...]
    signals: Mapping[str, int]
    distances: Mapping[str, int]
    requirements: tuple[Requirement, ...]
