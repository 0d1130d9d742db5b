"""Plans of stored studies, without holding up the event loop."""

from __future__ import annotations

import asyncio

from services.optimizer.convert.specs import stored_plan
from services.optimizer.core.plan import StudyPlan
from services.optimizer.core.ports import StudyRecord


async def plan_of_record(record: StudyRecord) -> StudyPlan:
    """Return a study's plan; counting a large grid takes seconds, once."""
    return await asyncio.to_thread(stored_plan, record.spec)
