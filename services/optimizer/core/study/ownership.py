"""Which studies this replica owns: claims what waits, renews what it has, heeds what others write.

Any number of replicas share a store. Each claims studies that nobody has, or whose owner has not
renewed its lease in time; a study taken over goes on from its stored trials, bit by bit as it would
have gone on before. An owner that lost its lease, perhaps without knowing, can write nothing more.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.common.errors import AssayError
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import LeaseLostError, Standing, StudyRecord
from services.optimizer.core.study.events import Clock, EventWriter
from services.optimizer.core.study.study_life import Engage, StudyLife

logger = logging.getLogger(__name__)

SAVE_SECONDS: Final = 5.0
"""How long a service that drains waits for the store to take what has finished."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One process of the optimizer.

    Attributes:
        name: Tells replicas apart; another process must have another name.
        lease_ms: How long a study is its own without being renewed.
        study_limit: Most studies it runs at once; others wait.
        caller_limit: Most unfinished studies of one caller, here and elsewhere; None: any number.
    """

    name: str
    lease_ms: int = 15_000
    study_limit: int = 16
    caller_limit: int | None = None

    @property
    def beat_seconds(self) -> float:
        """Time between two renewals, and two looks for studies to claim."""
        return self.lease_ms / 3_000


@dataclass(slots=True)
class LeaseTally:
    """What has happened to the leases of a process.

    Attributes:
        claimed: Studies taken over, new ones among them.
        lost: Studies that another owner has taken while they lived here.
        unrenewed: Rounds of renewal that failed.
    """

    claimed: int = 0
    lost: int = 0
    unrenewed: int = 0


class Ownership:
    """The studies that live in this process.

    Attributes:
        tally: What has happened to its leases so far.
    """

    def __init__(
        self,
        replica: Replica,
        store: StudyStore,
        engage: Engage,
        writer: EventWriter,
        clock: Clock,
        notify: Callable[[str], None],
    ) -> None:
        self._replica = replica
        self._store = store
        self._engage = engage
        self._writer = writer
        self._clock = clock
        self._notify = notify
        self._lives: dict[str, StudyLife] = {}
        self._wanted = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._closing = False
        self.tally = LeaseTally()

    @property
    def lives(self) -> Mapping[str, StudyLife]:
        """The studies that live here, by id."""
        return self._lives

    def begin(self) -> None:
        """Begin to claim and to renew."""
        self._loops = [_detached(self._claiming()), _detached(self._renewing())]

    def wake(self) -> None:
        """Look for studies to claim now: one was stored, or has come free."""
        self._wanted.set()

    async def claim(self, study_id: str) -> None:
        """Claim one study at once, whatever the limit; nothing where another owner has it."""
        if not self._closing and study_id not in self._lives:
            await self._claim(1, study_id)

    async def close(self) -> None:
        """End all lives where they stand and give the studies back."""
        self._closing = True
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        lives = list(self._lives.values())
        for life in lives:
            life.task.cancel()
        await asyncio.gather(*(life.task for life in lives), return_exceptions=True)
        saving = asyncio.gather(*(self._give_back(life) for life in lives), return_exceptions=True)
        done, _ = await asyncio.wait({saving}, timeout=SAVE_SECONDS)
        if not done:
            logger.warning("studies.unsaved", extra={"count": len(lives)})
            saving.cancel()
            await asyncio.wait({saving})

    async def _give_back(self, life: StudyLife) -> None:
        await life.save()
        await self._store.release([life.record.lease])

    async def _claiming(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self._claim(self._replica.study_limit - len(self._lives))
            except AssayError as error:
                logger.warning("studies.unclaimed", extra={"reason": error.reason})
            except Exception:
                # One look that fails must not be the last: no study would ever begin again.
                logger.exception("studies.unclaimed")
            await self._beat(self._wanted)

    async def _claim(self, most: int, study_id: str | None = None) -> None:
        if most <= 0:
            return
        replica = self._replica
        for record in await self._store.claim(replica.name, replica.lease_ms, most, study_id):
            self.tally.claimed += 1
            logger.info(
                "study.claimed", extra={"study": record.study_id, "epoch": record.lease_epoch}
            )
            before = self._lives.get(record.study_id)
            if before is not None:
                # Its lease ran out here and was claimed anew: the old life can write nothing more.
                before.task.cancel()
            self._start(record)

    def _start(self, record: StudyRecord) -> None:
        life = StudyLife(record, self._store, self._writer, self._clock, self._notify)
        self._lives[record.study_id] = life
        life.task = _detached(self._live(life))
        self._notify(record.study_id)

    async def _live(self, life: StudyLife) -> None:
        study_id = life.record.study_id
        try:
            await life.live(self._engage)
        except LeaseLostError:
            self.tally.lost += 1
            logger.warning("study.lease_lost", extra={"study": study_id})
        except Exception:
            # The store refused the end itself: another claim will find it.
            logger.exception("study.lost", extra={"study": study_id})
        finally:
            if self._lives.get(study_id) is life:
                del self._lives[study_id]
            self._notify(study_id)
            self.wake()

    async def _renewing(self) -> None:
        while True:
            await self._clock.sleep(self._replica.beat_seconds)
            lives = list(self._lives.values())
            if not lives:
                continue
            leases = [life.record.lease for life in lives]
            try:
                held = await self._store.renew(leases, self._replica.lease_ms)
            except AssayError as error:
                # Nobody else can claim either while the store is away.
                self.tally.unrenewed += 1
                logger.warning("leases.unrenewed", extra={"reason": error.reason})
                continue
            except Exception:
                self.tally.unrenewed += 1
                logger.exception("leases.unrenewed")
                continue
            found = {record.lease: record for record in held}
            for life, lease in zip(lives, leases, strict=True):
                record = found.get(lease)
                if record is not None:
                    life.heed(Standing(record.state, record.limits))
                elif self._lives.get(lease.study_id) is life and not life.task.done():
                    self._lose(life)

    def _lose(self, life: StudyLife) -> None:
        """End a life whose lease has gone, unless it is because it has just ended."""
        self.tally.lost += 1
        logger.warning("study.lease_gone", extra={"study": life.record.study_id})
        life.task.cancel()

    async def _beat(self, event: asyncio.Event) -> None:
        """Wait for the next beat, or for an event."""
        waits = [
            asyncio.ensure_future(event.wait()),
            asyncio.ensure_future(self._clock.sleep(self._replica.beat_seconds)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _detached(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run in a context of its own: the deadline of the call that began it is not the work's."""
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())
