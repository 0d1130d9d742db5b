"""The growing list of nodes: counted, measured in depth, and each kept once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from services.backtest.core.expression.problems import Refusal, TooMuch
from services.backtest.core.expression.program import Node
from services.backtest.core.expression.resolution import identity
from services.backtest.core.expression.statics import (
    OPERATIONS,
    StaticValue,
    WholeTooLarge,
    operate,
)
from services.backtest.core.expression.words import FIRST_DECISION, MOST_DEPTH, MOST_NODES

_TOO_DEEP: Final = f"nested deeper than {MOST_DEPTH} operations, terms written out"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a node beside itself.

    Attributes:
        depth: Operations on the longest way down, itself included, terms written out.
        fixed: Its value, where that depends neither on bars nor on parameters; else None.
        longer: Whether it depends on bars of a longer interval.
        decision: Whether it depends on the first decision.
    """

    depth: int
    fixed: StaticValue | None
    longer: bool
    decision: bool


class Nodes:
    """The nodes of one definition.

    Attributes:
        nodes: They, inputs first.
        facts: What is known of each.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.facts: list[Facts] = []
        self._places: dict[tuple[object, ...], int] = {}
        self._written = 0

    def add(self, node: Node) -> int:
        """Return the place of a node; that of an equal one where there is one.

        Raises:
            Refusal: It is too deep, or gives a whole number beyond 2^53.
            TooMuch: There are too many.
        """
        self._written += 1
        if self._written > MOST_NODES:
            raise TooMuch(node.position, f"all texts hold more than {MOST_NODES:,} operations")
        key = identity(node)
        if key not in self._places:
            facts = self._facts_of(node)
            self._places[key] = len(self.nodes)
            self.nodes.append(node)
            self.facts.append(facts)
        return self._places[key]

    def _facts_of(self, node: Node) -> Facts:
        below = [self.facts[place] for place in (*node.inputs, *node.statics)]
        depth = 1 + max((facts.depth for facts in below), default=0)
        if depth > MOST_DEPTH:
            raise Refusal(node.position, _TOO_DEEP)
        return Facts(
            depth=depth,
            fixed=self._fixed(node),
            longer=node.operation == "on" or any(facts.longer for facts in below),
            decision=node.operation == FIRST_DECISION or any(facts.decision for facts in below),
        )

    def _fixed(self, node: Node) -> StaticValue | None:
        if node.operation == "constant":
            return cast("StaticValue", node.value)
        values = [self.facts[place].fixed for place in node.inputs]
        if not node.static or not values or None in values:
            return None
        known = cast("list[StaticValue]", values)
        if node.operation == "if_else":
            return known[1] if known[0] else known[2]
        if node.operation not in OPERATIONS:
            return None
        try:
            return operate(node, known)
        except WholeTooLarge as error:
            raise Refusal(node.position, str(error)) from None
