"""A text cut into numbers, names, labels and signs. Everything but plain ASCII is refused."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.backtest.core.expression.problems import quoted


class TokenKind(enum.Enum):
    """What a token is."""

    NUMBER = "a number"
    NAME = "a name"
    LABEL = "a label in quotes"
    SIGN = "a sign"
    END = "the end"
    BAD = "no token"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a text.

    Attributes:
        kind: What it is.
        text: As written; a label without its quotes; for BAD, what is wrong.
        position: Character it begins at, from 0.
    """

    kind: TokenKind
    text: str
    position: int


_PIECE: Final = re.compile(
    r"[ \t\r\n]+"
    r"|(?P<NUMBER>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<NAME>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<LABEL>\"[ !#-~]*\"|'[ -&(-~]*')"
    r"|(?P<SIGN><=|>=|==|!=|[-+*/()<>,=])",
    re.ASCII,
)
_PLAIN: Final = re.compile(r"[ -~]*", re.ASCII)
_GLUED: Final = re.compile(r"[A-Za-z0-9_.]", re.ASCII)

_ADVICE: Final = {
    ".": "a point stands only between the digits of a number",
    "[": "earlier bars are written shift(series, bars)",
    "]": "earlier bars are written shift(series, bars)",
    "&": 'write "and"',
    "|": 'write "or"',
    "!": 'write "not"',
    "^": "powers are written as products",
    "%": "there is no remainder",
    ";": "one text is one expression",
}


def tokenize(text: str) -> Iterator[Token]:
    """Give the tokens of a text, the last of them END, or BAD at the first bad character."""
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            yield _bad(text, position)
            return
        group, begin, position = piece.lastgroup, position, piece.end()
        if group == TokenKind.NUMBER.name and _GLUED.match(text, position):
            told = f"a number goes on with {quoted(text[position])}; expected its end"
            yield Token(TokenKind.BAD, told, position)
            return
        if group is not None:
            written = piece.group()
            is_label = group == TokenKind.LABEL.name
            yield Token(TokenKind[group], written[1:-1] if is_label else written, begin)
    yield Token(TokenKind.END, "", len(text))


def _bad(text: str, position: int) -> Token:
    """Return what stands where no token begins."""
    character = text[position]
    if character in "\"'":
        plain = _PLAIN.match(text, position + 1)
        end = plain.end() if plain else position + 1
        if end == len(text) or character in text[position + 1 : end]:
            return Token(TokenKind.BAD, "the quote is never closed", position)
        position, character = end, text[end]
    if " " <= character <= "~":
        advice = _ADVICE.get(character)
        told = f"{quoted(character)} is no sign of the language"
        return Token(TokenKind.BAD, f"{told}; {advice}" if advice else told, position)
    name = unicodedata.name(character, "")
    shown = f"U+{ord(character):04X}" + (f" ({name})" if name else "")
    return Token(TokenKind.BAD, f"{shown} is no plain ASCII character", position)
