"""Programs without a choice, and without what nobody needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from services.backtest.core.expression.program import Node, Program, Requirement
from services.backtest.core.expression.statics import OPERATIONS, chosen, needed

_TIMELESS: Final = frozenset((*OPERATIONS, "if_else"))


def resolve(program: Program, words: Mapping[str, str]) -> Program:
    """Return the program with every choice taken, without the nodes nobody needs then.

    Kinds stay as they were checked; a node whose inputs have all become static is static.

    Args:
        program: The program.
        words: The word of every category parameter, by name.
    """
    places: dict[int, int] = {}
    for place, node in enumerate(program.nodes):
        if node.operation == "choose":
            branch = chosen(node, words)
            places[place] = places.get(branch, branch)
    nodes = [
        replace(
            node,
            inputs=tuple(places.get(one, one) for one in node.inputs),
            statics=tuple(places.get(one, one) for one in node.statics),
        )
        for node in program.nodes
    ]
    return _rebuilt(program, nodes, places)


def pruned(program: Program) -> Program:
    """Return the program without the nodes nobody needs."""
    return _rebuilt(program, program.nodes, {})


def identity(node: Node) -> tuple[object, ...]:
    """Return what two nodes have in common that are one."""
    # 1, 1.0 and True are equal for Python, and are not for us.
    value_type = type(node.value)
    return node.operation, node.inputs, node.statics, value_type, node.value, node.kind


def _rebuilt(program: Program, nodes: Sequence[Node], places: Mapping[int, int]) -> Program:
    """Return a program of the nodes that its roots need, equal ones made one."""
    roots = (
        *program.signals.values(),
        *program.distances.values(),
        *(one.place for one in program.requirements),
    )
    kept: list[Node] = []
    known: dict[tuple[object, ...], int] = {}
    moved: dict[int, int] = {}
    for place in needed(nodes, (places.get(root, root) for root in roots)):
        node = nodes[place]
        inputs = tuple(moved[one] for one in node.inputs)
        still = node.operation in _TIMELESS and all(kept[one].static for one in inputs)
        node = replace(
            node,
            inputs=inputs,
            statics=tuple(moved[one] for one in node.statics),
            static=node.static or still,
        )
        moved[place] = known.setdefault(identity(node), len(kept))
        if moved[place] == len(kept):
            kept.append(node)

    def new(place: int) -> int:
        return moved[places.get(place, place)]

    return Program(
        nodes=tuple(kept),
        signals=MappingProxyType({name: new(place) for name, place in program.signals.items()}),
        distances=MappingProxyType({name: new(place) for name, place in program.distances.items()}),
        requirements=tuple(Requirement(new(one.place), one.text) for one in program.requirements),
    )
