"""How parameters moved from window to window: stable ones hardly move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.optimizer.core.spec.space import Categories, Fixed, Parameter, Space
from services.optimizer.core.trial import Value
from services.optimizer.core.walk_forward.evidence import WindowEvidence


@dataclass(frozen=True, slots=True)
class ParameterPath:
    """The fields of `assay.optimizer.v1.ParameterPath`; None where undefined."""

    name: str
    window_numbers: tuple[int, ...]
    values: tuple[Value, ...]
    change_rate: float | None
    used_range_ratio: float | None


def parameter_paths(space: Space, windows: Sequence[WindowEvidence]) -> list[ParameterPath]:
    """Return the path of each searched parameter over the windows that have a winner."""
    won = [(one.number, one.winner.parameters) for one in windows if one.winner is not None]
    numbers = tuple(number for number, _ in won)
    paths = []
    for parameter in space.searched:
        values = tuple(point[parameter.name] for _, point in won)
        changes = [first != second for first, second in pairwise(values)]
        paths.append(
            ParameterPath(
                parameter.name,
                numbers,
                values,
                sum(changes) / len(changes) if changes else None,
                _used_range(parameter, values),
            )
        )
    return paths


def _used_range(parameter: Parameter, values: Sequence[Value]) -> float | None:
    domain = parameter.domain
    if not values or isinstance(domain, Fixed):
        return None
    if isinstance(domain, Categories):
        searched = len(domain.values) - 1
        return (len(set(values)) - 1) / searched if searched else None
    numbers = [float(value) for value in values]
    width = domain.high - domain.low
    return (max(numbers) - min(numbers)) / width if width > 0 else None
