"""Names, ids, pages and tokens of requests, checked."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from google.protobuf.message import Message

from services.common.errors import Violation, fields_invalid

LONGEST_PAGE: Final = 1_000
LONGEST_REQUEST_ID: Final = 64

_STUDY_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_TOKEN_BYTES: Final = 8
_LARGEST_OFFSET: Final = 2**63 - 1
"""What a database takes as OFFSET."""


def study_id_violations(study_id: str) -> Iterator[Violation]:
    """Yield what is wrong with an id a caller chose; empty means it chose none."""
    if study_id and not _STUDY_ID.fullmatch(study_id):
        yield Violation(
            "study_id",
            "must be 1 to 63 lower-case letters, digits and hyphens, beginning with a letter",
        )


def request_id_violations(request_id: str) -> Iterator[Violation]:
    """Yield what is wrong with a request id."""
    if len(request_id) > LONGEST_REQUEST_ID:
        yield Violation("request_id", f"must have at most {LONGEST_REQUEST_ID} characters")
    if "\0" in request_id:
        # PostgreSQL keeps no text with it.
        yield Violation("request_id", "must not hold the character NUL")


def name_violations(field: str, name: str) -> Iterator[Violation]:
    """Yield what is wrong with a study's name."""
    if not _STUDY_ID.fullmatch(name.removeprefix("studies/")) or not name.startswith("studies/"):
        yield Violation(field, f'must have the form "studies/{{study}}", but is {name!r}')


def study_id_of(name: str, field: str = "name") -> str:
    """Return the id in a study's name.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID.
    """
    violations = list(name_violations(field, name))
    if violations:
        raise fields_invalid(violations)
    return name.removeprefix("studies/")


def request_digest(request: Message) -> str:
    """Return a digest that tells one request from another."""
    content = request.SerializeToString(deterministic=True)
    return blake2b(content, digest_size=32).hexdigest()


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted.

    Attributes:
        offset: Entries before it.
        size: Most entries in it.
        binding: What ties its tokens to the request.
        horizon: Entries there were to choose from when the first page was made, of a list that
            grows; 0 on the first page, and where the list does not mind.
    """

    offset: int
    size: int
    binding: bytes
    horizon: int = 0

    @property
    def end(self) -> int:
        """Entries up to its last."""
        return self.offset + self.size

    def at_most(self, size: int) -> Page:
        """Return the page with so many entries at most."""
        return replace(self, size=min(self.size, size))

    def next_token(self, *, more: bool, horizon: int = 0) -> str:
        """Return the token of the next page; empty when there is none."""
        if not more:
            return ""
        numbers = (self.end, horizon)
        places = b"".join(number.to_bytes(_TOKEN_BYTES, "big") for number in numbers)
        return base64.urlsafe_b64encode(places + self.binding).decode()


def page_of(
    page_size: int, page_token: str, default_size: int, *bound: object
) -> tuple[Page, list[Violation]]:
    """Read the paging fields of a request.

    Args:
        page_size: As given; 0 means `default_size`, more than 1,000 means 1,000.
        page_token: As given.
        default_size: The method's default.
        bound: The method's name and its other fields, which must not change from page to page.

    Returns:
        The page, and what is wrong with the fields.
    """
    violations = []
    if page_size < 0:
        violations.append(Violation("page_size", f"must be 0 to {LONGEST_PAGE:,}"))
    binding = blake2b(repr(bound).encode(), digest_size=_TOKEN_BYTES).digest()
    offset = horizon = 0
    if page_token:
        try:
            token = base64.b64decode(page_token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            token = b""
        offset = int.from_bytes(token[:_TOKEN_BYTES], "big")
        horizon = int.from_bytes(token[_TOKEN_BYTES : 2 * _TOKEN_BYTES], "big")
        ours = len(token) == 3 * _TOKEN_BYTES and token[2 * _TOKEN_BYTES :] == binding
        if not ours or max(offset, horizon) > _LARGEST_OFFSET:
            violations.append(
                Violation("page_token", "is no token of an earlier answer to the same request")
            )
    size = min(page_size or default_size, LONGEST_PAGE)
    return Page(offset, size, binding, horizon), violations
