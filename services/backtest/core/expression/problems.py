"""What is wrong with a strategy definition, collected so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

_MOST_PROBLEMS: Final = 100
"""Nobody reads more, and a hostile definition shall not make us write more."""
_MOST_HINTS: Final = 10
"""To look for a near name takes a millisecond."""
_LONGEST_SHOWN: Final = 63


@dataclass(frozen=True, slots=True)
class ExpressionProblem:
    """One thing wrong with a definition.

    Attributes:
        field: Field of the definition: "enter_long", "terms[0].expression",
            "parameters[2].minimum".
        position: Character of the text, from 0; its length when the text ends too early; None when
            the field as a whole is wrong.
        message: What is wrong and what was expected; names the character, counted from 1, where
            there is one: "character 17: ...".
    """

    field: str
    position: int | None
    message: str


class DefinitionInvalid(Exception):  # noqa: N818 - says what it is about
    """A definition that breaks the rules.

    Attributes:
        problems: Everything found, in the order of the fields; at least one.
    """

    def __init__(self, problems: Iterable[ExpressionProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{one.field}: {one.message}" for one in self.problems))


class Refusal(Exception):  # noqa: N818 - says what it is about
    """Ends the reading of one text.

    Attributes:
        position: Character of the text, from 0.
        message: What is wrong and what was expected.
    """

    def __init__(self, position: int, message: str) -> None:
        self.position = position
        self.message = message
        super().__init__(message)


class TooMuch(Refusal):
    """Ends the reading of the whole definition."""


class Problems:
    """Collects what is wrong.

    Attributes:
        found: The problems so far.
    """

    def __init__(self) -> None:
        self.found: list[ExpressionProblem] = []
        self._hints = 0

    def note(self, field: str, told: str, position: int | None = None) -> None:
        """Add a problem; beyond a hundred they are counted as told."""
        if len(self.found) < _MOST_PROBLEMS:
            message = told if position is None else f"character {position + 1}: {told}"
            self.found.append(ExpressionProblem(field, position, message))

    def hint(self, name: str, known: Iterable[str]) -> str:
        """Return '; did you mean "ema"?' where a known name is near, else nothing."""
        if len(name) > _LONGEST_SHOWN or self._hints >= _MOST_HINTS:
            return ""
        self._hints += 1
        near = get_close_matches(name.lower(), list(known), n=1)
        return f"; did you mean {quoted(near[0])}?" if near else ""

    @property
    def full(self) -> bool:
        """Whether no more are taken."""
        return len(self.found) >= _MOST_PROBLEMS

    def refuse(self) -> None:
        """Raise DefinitionInvalid when there is at least one problem."""
        if self.found:
            raise DefinitionInvalid(self.found)


def quoted(text: str) -> str:
    """Return a text for a message: quoted, plain ASCII, not endless."""
    shown = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
    return '"' + ascii(shown)[1:-1] + '"'
