"""The workers behind one balanced channel, as all studies of a process share them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import grpc
from assay.backtest.v1 import backtest_service_pb2_grpc

from services.optimizer.adapters.workers.worker_failures import FailureKind
from services.optimizer.adapters.workers.worker_pace import OutageLog


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the pool waits for what, in seconds.

    Attributes:
        call_seconds: Deadline of a call, doubled with each time its chunk broke.
        first_pause_seconds: Mean pause before a call is repeated; doubled each time.
        longest_pause_seconds: Largest mean pause.
    """

    call_seconds: float = 120.0
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0

    def pause_seconds(self, attempt: int) -> float:
        """Return the pause before an attempt, from 0, half to one and a half times its mean."""
        mean = min(self.first_pause_seconds * 2.0 ** min(attempt, 16), self.longest_pause_seconds)
        return mean * random.uniform(0.5, 1.5)  # noqa: S311 - spreads repeats, guards nothing


class Load(Protocol):
    """Sets that a study wants run now."""

    @property
    def waiting_set_count(self) -> int:
        """Sets that no worker has."""

    @property
    def flying_set_count(self) -> int:
        """Sets that workers have."""


class WorkerPool:
    """The workers behind a channel, shared by all studies of the process.

    Attributes:
        loads: What the studies want run now.
        failures: Calls that had to be repeated, by why.
        turns: Held while a message is made or read: many come back together, and others must have
            their turns of the event loop between them.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        max_in_flight: int = 16,
        patience: Patience = Patience(),
    ) -> None:
        """Use a channel that balances over the workers; at most `max_in_flight` calls at once."""
        self.stub = backtest_service_pb2_grpc.BacktestServiceStub(channel)
        self.max_in_flight = max_in_flight
        self.places = asyncio.Semaphore(max_in_flight)
        self.patience = patience
        self.outages = OutageLog()
        self.turns = asyncio.Lock()
        self.loads: set[Load] = set()
        self.failures = Counter(dict.fromkeys(FailureKind, 0))
