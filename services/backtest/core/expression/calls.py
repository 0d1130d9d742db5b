"""The functions of the language: their arguments, checked, and the nodes they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.backtest.core.expression.operands import Operand, Writer
from services.backtest.core.expression.parser import Argument
from services.backtest.core.expression.problems import quoted
from services.backtest.core.expression.program import Kind
from services.backtest.core.expression.tokens import Token
from services.backtest.core.expression.words import FIRST_DECISION, FUNCTIONS
from services.backtest.core.parameters import ParameterInfo
from services.common.intervals import Interval

MOST_COMPARED: Final = 8
"""Arguments of min and max."""

_LABELS: Final = tuple(one.value for one in Interval if one is not Interval.MONTH_1)
_EXTREMES: Final = {"min": "smaller", "max": "larger"}
_OF_ONE: Final = {"abs": "absolute", "sqrt": "square_root"}


def plain_call(token: Token, arguments: Sequence[Argument], writer: Writer) -> Operand:
    """Return what a function of the language gives; `choose` stands apart."""
    if token.text == "on":
        return _on(token, arguments, writer)
    operands = _operands(token, arguments, writer)
    if operands is None:
        return Operand(token.position)
    if token.text == "if_else":
        return _if_else(token, operands, writer)
    if not writer.are_numbers(operands, f"{token.text}()"):
        return Operand(token.position)
    return _of_numbers(token, operands, writer)


def _of_numbers(token: Token, operands: Sequence[Operand], writer: Writer) -> Operand:
    if token.text in _OF_ONE:
        return writer.arithmetic(_OF_ONE[token.text], token.position, operands)
    if token.text in _EXTREMES:
        found = operands[0]
        for operand in operands[1:]:
            found = writer.arithmetic(_EXTREMES[token.text], token.position, (found, operand))
        return found
    # A crossing needs the bar before, also where both sides never change.
    return writer.node(token.text, token.position, operands, Kind.CONDITION, static=False)


def _operands(
    token: Token, arguments: Sequence[Argument], writer: Writer
) -> tuple[Operand, ...] | None:
    """Return the arguments, as many as there must be; None, and noted, where they are not."""
    name = token.text
    least, most = {
        "if_else": (3, 3),
        "abs": (1, 1),
        "sqrt": (1, 1),
        "min": (2, MOST_COMPARED),
        "max": (2, MOST_COMPARED),
    }.get(name, (2, 2))
    odd = next((one for one in arguments if one.keyword or one.label), None)
    if odd is not None:
        what = "a label in quotes" if odd.label else 'a name before "="'
        writer.broken(odd.position, f"expected {FUNCTIONS[name]}, without {what}")
        return None
    if not least <= len(arguments) <= most:
        count = str(least) if least == most else f"{least} to {most}"
        position = arguments[most].position if len(arguments) > most else token.position
        told = f"expected {count} arguments, {FUNCTIONS[name]}, not {len(arguments)}"
        writer.broken(position, told.replace("1 arguments", "1 argument"))
        return None
    return tuple(one.operand for one in arguments)


def _if_else(token: Token, operands: Sequence[Operand], writer: Writer) -> Operand:
    condition, *branches = operands
    sound = writer.are_conditions((condition,), "if_else() before its first comma")
    kind = writer.common_kind(branches, "if_else()")
    if not sound or kind is None:
        return Operand(token.position)
    if kind is Kind.WHOLE and not condition.static:
        kind = Kind.NUMBER
    if kind is not Kind.CONDITION and writer.nodes.facts[condition.place].decision:
        told = "first_decision decides conditions only, no number"
        return writer.broken(condition.position, told)
    return writer.node("if_else", token.position, operands, kind)


def _on(token: Token, arguments: Sequence[Argument], writer: Writer) -> Operand:
    wanted = f"expected {FUNCTIONS['on']}"
    if len(arguments) != 2 or any(one.keyword for one in arguments) or arguments[1].label:
        return writer.broken(token.position, wanted)
    label, operand = arguments[0].label, arguments[1].operand
    if label is None:
        return writer.broken(
            arguments[0].position, f'{wanted}; the interval stands in quotes: "4h"'
        )
    if label.text not in _LABELS:
        told = f"{quoted(label.text)} is no interval; expected one of {', '.join(_LABELS)}"
        return writer.broken(label.position, told)
    if operand.kind is None or not writer.are_known((operand,), "on()"):
        return Operand(token.position)
    facts = writer.nodes.facts[operand.place]
    if facts.longer or facts.decision:
        inner = "on()" if facts.longer else FIRST_DECISION
        return writer.broken(operand.position, f"{inner} does not stand within on()")
    kind = Kind.NUMBER if operand.kind is Kind.WHOLE else operand.kind
    return writer.node("on", token.position, (operand,), kind, static=False, value=label.text)


def choose(
    token: Token, info: ParameterInfo | None, branches: Sequence[Argument], writer: Writer
) -> Operand:
    """Return the choice between expressions by a category parameter.

    Args:
        token: The name of the function.
        info: The parameter; None where the first argument is none.
        branches: All arguments but the first.
        writer: Writes the node and notes what is wrong.
    """
    if info is None:
        return Operand(token.position)
    taken: dict[str, Operand] = {}
    sound = True
    for branch in branches:
        told = _problem_with_branch(branch, info, taken, writer)
        if told:
            writer.broken(branch.position, told)
            sound = False
        if branch.keyword is not None:
            taken.setdefault(branch.keyword.text, branch.operand)
    missing = [word for word in info.categories if word not in taken]
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        told = f"choose() expected an expression for every word of {quoted(info.name)}; {shown}"
        return writer.broken(token.position, f"{told} has none")
    if not sound:
        return Operand(token.position)
    operands = [taken[word] for word in info.categories]
    kind = writer.common_kind(operands, "choose()")
    if kind is None:
        return Operand(token.position)
    value = (info.name, info.categories)
    return writer.node("choose", token.position, operands, kind, value=value)


def _problem_with_branch(
    branch: Argument, info: ParameterInfo, taken: dict[str, Operand], writer: Writer
) -> str | None:
    if branch.keyword is None or branch.label is not None:
        return f"expected a word of {quoted(info.name)} and its expression, word = expression"
    word = branch.keyword.text
    if word in taken:
        return f"{quoted(word)} has an expression already"
    if word not in info.categories:
        return (
            f"{quoted(word)} is no word of {quoted(info.name)}{writer.hint(word, info.categories)}"
        )
    return None
