"""Plans of stored studies, without holding up the event loop."""

from __future__ import annotations

import asyncio

from services.optimizer.convert.specs import stored_plan
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.spec.plan import StudyPlan


async def plan_of_record(record: StudyRecord) -> StudyPlan:
    """Return a study's plan; counting a large grid takes seconds, once."""
    return await asyncio.to_thread(stored_plan, record.spec)
