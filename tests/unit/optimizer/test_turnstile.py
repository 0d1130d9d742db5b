"""A crowd goes through a few at a time, and who does not come back holds it up once."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from services.optimizer.core.study import turnstile
from services.optimizer.core.study.turnstile import AT_ONCE, Group, Turnstile, Waiting


class Crowd:
    """People who go through, again where they are sent again.

    Attributes:
        inside: How many have gone and not come back.
        most: The most there ever were inside.
        gone: Who has gone through, in order.
    """

    def __init__(self, count: int, stuck: int | None = None) -> None:
        self.inside = self.most = 0
        self.gone: list[int] = []
        self.groups: dict[int, Group] = {}
        self._stuck = stuck
        self._waiting = deque((number, False) for number in range(count))
        self._tasks: list[asyncio.Task[None]] = []

    def following(self) -> Waiting | None:
        """Return who is next."""
        if not self._waiting:
            return None
        number, slow = self._waiting.popleft()
        return Waiting(lambda group: self._go(number, group), slow)

    def send_again(self, number: int, *, slow: bool) -> None:
        """Have one wait once more."""
        self._waiting.append((number, slow))

    def _go(self, number: int, group: Group) -> None:
        self.groups[number] = group
        self.gone.append(number)
        self._tasks.append(asyncio.ensure_future(self._come_back(number, group)))

    async def _come_back(self, number: int, group: Group) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(number % 5):
            await asyncio.sleep(0)
        if number != self._stuck:
            self.inside -= 1
            group.leave()

    async def go_through(self, gate: Turnstile) -> None:
        """Let everybody go."""
        while self._waiting:
            await gate.let_go(self.following)


async def test_never_more_than_a_few_are_inside() -> None:
    """Of several crowds together; each goes in its order."""
    gate, crowds = Turnstile(), [Crowd(50), Crowd(30)]
    await asyncio.gather(*(one.go_through(gate) for one in crowds))

    assert [one.gone for one in crowds] == [list(range(50)), list(range(30))]
    assert max(one.most for one in crowds) <= AT_ONCE


async def test_one_who_does_not_come_back_holds_nobody_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others go on without it; it is slow, and the next time it is not waited for."""
    monkeypatch.setattr(turnstile, "PATIENCE_SECONDS", 0.01)
    gate, crowd = Turnstile(), Crowd(30, stuck=3)
    await crowd.go_through(gate)
    assert crowd.gone == list(range(30))
    assert crowd.groups[3].leave()
    monkeypatch.setattr(turnstile, "PATIENCE_SECONDS", 3_600.0)
    crowd.send_again(3, slow=True)
    crowd.send_again(4, slow=False)
    await crowd.go_through(gate)

    assert crowd.gone[30:] == [3, 4]
    assert not crowd.groups[4].leave()
