"""Secrets that a process was given, and texts without them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

MASK: Final = "***"
_SHORTEST: Final = 4
"""Pieces shorter than this are no secret to anybody, but words of ordinary lines."""

_SECRET_OPTIONS: Final = ("password", "secret", "token", "key")


def secrets_in(texts: Iterable[object]) -> tuple[str, ...]:
    """Return the passwords in the URLs among some values, longest first.

    Also as they are written in the URL, and, where a password holds an "@", its pieces: drivers
    then take a part of it for the host, and name that in their errors.
    """
    found: set[str] = set()
    for text in texts:
        if isinstance(text, str) and "://" in text:
            found |= _in_url(text)
    return tuple(sorted((one for one in found if one), key=len, reverse=True))


def without(text: str, secrets: Sequence[str]) -> str:
    """Return the text with every secret masked."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def _in_url(url: str) -> set[str]:
    rest = url.partition("://")[2]
    user, at, _ = rest.rpartition("@")
    password = user.partition(":")[2] if at else ""
    whole = {password, unquote(password)}
    pieces = {piece for piece in _pieces(rest.partition(":")[2]) if at and "@" in password}
    return whole | pieces | _in_options(url)


def _pieces(text: str) -> list[str]:
    return [piece for piece in text.split("@")[:-1] if len(piece) >= _SHORTEST]


def _in_options(url: str) -> set[str]:
    try:
        options = parse_qsl(urlsplit(url).query)
    except ValueError:
        return set()
    return {
        value for name, value in options if any(word in name.lower() for word in _SECRET_OPTIONS)
    }
