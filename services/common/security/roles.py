"""Who may call what: tokens with roles, and the role that a method needs. Pure.

Tokens are kept by their SHA-256 alone: who reads the file cannot call with it. They are made of 32
random bytes, so that no search through words finds one from its digest.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

AUTHORIZATION_KEY: Final = "authorization"
"""Metadata that carries `Bearer TOKEN`."""

MOST_NAME_CHARACTERS: Final = 255
"""Longest name of a caller."""

_DIGEST_CHARACTERS: Final = 64
_FIELDS: Final = 3

_READING: Final = ("Get", "List", "Watch", "Read", "Export", "Check", "ServerReflection")
_ENDING: Final = ("Delete",)


class Role(enum.IntEnum):
    """What a caller may do; each includes the ones before it."""

    READ = 1
    """Look at data, studies and results."""
    RUN = 2
    """Also run backtests and studies, fetch and import data."""
    ADMIN = 3
    """Also delete."""

    @property
    def word(self) -> str:
        """The role as files and errors spell it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        name: As the tokens file names it.
        role: What it may do.
    """

    name: str
    role: Role


class TokensInvalidError(ValueError):
    """A tokens file cannot be used; the message names every wrong line, and no token."""


class Tokens:
    """The tokens that are known."""

    def __init__(self, entries: Sequence[tuple[str, Caller]]) -> None:
        self._entries = [(bytes.fromhex(digest), caller) for digest, caller in entries]

    def caller(self, token: str) -> Caller | None:
        """Return whose token it is, or None; takes as long for a wrong one as for a right one."""
        digest = hashlib.sha256(token.encode()).digest()
        found = None
        for known, caller in self._entries:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def read_tokens(text: str) -> Tokens:
    """Read a tokens file: a line `name role sha256` for each token; `#` begins a comment.

    A name may stand in several lines, so that a new token can be given out before the old one goes.

    Raises:
        TokensInvalidError: names every wrong line.
    """
    entries, problems = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            entries.append(_entry(words))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if not entries and not problems:
        problems.append("there is no token in it")
    if problems:
        raise TokensInvalidError("; ".join(problems))
    return Tokens(entries)


def _entry(words: list[str]) -> tuple[str, Caller]:
    if len(words) != _FIELDS:
        raise ValueError("say name, role and SHA-256")
    name, role, digest = words
    if len(name) > MOST_NAME_CHARACTERS:
        raise ValueError(f"the name has at most {MOST_NAME_CHARACTERS} characters")
    if role.upper() not in Role.__members__:
        raise ValueError("the role is one of read, run, admin")
    if len(digest) != _DIGEST_CHARACTERS or not all(one in "0123456789abcdef" for one in digest):
        raise ValueError("the SHA-256 is 64 lower-case hexadecimal digits")
    return digest, Caller(name, Role[role.upper()])


def new_token() -> str:
    """Return a token nobody has."""
    return f"assay_{secrets.token_urlsafe(32)}"


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token as the tokens file holds it."""
    return hashlib.sha256(token.encode()).hexdigest()


def role_needed(method: str) -> Role:
    """Return the role a method needs, "/package.Service/Method": what is not known to read runs."""
    name = method.rpartition("/")[2]
    if name.startswith(_READING):
        return Role.READ
    return Role.ADMIN if name.startswith(_ENDING) else Role.RUN
