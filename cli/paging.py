"""Lists that come in pages, read as one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

MAXIMUM_PAGE_SIZE = 1_000
TABLE_LIMIT = 50
"""Entries shown to a person who named no limit."""

Response = TypeVar("Response")


async def read_pages(
    call: Callable[[Any], Awaitable[Response]], request: Any, items: str, limit: int
) -> Response:
    """Ask page after page and return the first answer with the items of all.

    Args:
        call: A list method of a stub.
        request: Its request; page size and token are set here.
        items: Name of the answer's repeated field.
        limit: Most items wanted; 0 for all. `next_page_token` stays set where there are more.
    """
    # The page size stays the same from page to page: some lists insist on equal requests.
    request.page_size = min(limit or MAXIMUM_PAGE_SIZE, MAXIMUM_PAGE_SIZE)
    merged: Any = await call(request)
    found = getattr(merged, items)
    while merged.next_page_token and (not limit or len(found) < limit):
        request.page_token = merged.next_page_token
        page: Any = await call(request)
        found.extend(getattr(page, items))
        merged.next_page_token = page.next_page_token
    if limit:
        del found[limit:]
    answer: Response = merged
    return answer


def wanted(limit: int | None, *, as_json: bool) -> int:
    """Return the limit to use where the user named none: all for programs, 50 for people."""
    if limit is not None:
        return limit
    return 0 if as_json else TABLE_LIMIT
