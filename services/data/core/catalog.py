"""Names of datasets: what they may look like and what they say. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.common.errors import Violation
from services.common.intervals import Interval
from services.data.core.ports import InstrumentId

COLLECTION = "datasets/"
FUNDING = "funding"
SYNTHETIC = "synthetic"
EXCHANGES = {"bybit": ("spot", "linear", "inverse")}
"""Exchanges that can be fetched from, each with its markets."""

_LONGEST_NAME = 200
_PART = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
_INTERVALS = {interval.value: interval for interval in Interval}
_ENDINGS = ", ".join([*_INTERVALS, FUNDING])


@dataclass(frozen=True, slots=True)
class DatasetName:
    """A well-formed dataset name, taken apart.

    Attributes:
        full: The whole name, "datasets/bybit.linear.btcusdt.1h".
        parts: The parts after the collection, the last of them the interval or "funding".
        interval: Length of one bar; None for funding rates.
    """

    full: str
    parts: tuple[str, ...]
    interval: Interval | None

    @property
    def is_synthetic(self) -> bool:
        """Whether the name promises made-up data."""
        return self.parts[0] == SYNTHETIC

    @property
    def rest(self) -> str:
        """The name without its collection."""
        return self.full.removeprefix(COLLECTION)


def parse_name(full: str, field: str) -> tuple[DatasetName | None, list[Violation]]:
    """Take a dataset name apart, or say everything that is wrong with it under the field's path."""
    if not full:
        return None, [Violation(field, "is required")]
    problems = []
    if len(full) > _LONGEST_NAME:
        problems.append(f"is longer than {_LONGEST_NAME} characters")
    if not full.startswith(COLLECTION):
        problems.append(f'must begin with "{COLLECTION}"')
    parts = tuple(full.removeprefix(COLLECTION).split("."))
    wrong = [part for part in parts if not _PART.fullmatch(part)]
    if wrong:
        problems.append(
            f"has parts that are not lower-case letters, digits, - and _: {_quoted(wrong)}"
        )
    if len(parts) < 2:
        problems.append("needs at least two parts joined by dots")
    if parts[-1] not in _INTERVALS and parts[-1] != FUNDING:
        problems.append(f'must end in one of {_ENDINGS}, not "{parts[-1][:40]}"')
    if parts[0] == SYNTHETIC and parts[-1] == FUNDING:
        problems.append("cannot be synthetic funding: only candles are made up")
    if problems:
        return None, [Violation(field, f"{full[:80]!r} {problem}") for problem in problems]
    return DatasetName(full, parts, _INTERVALS.get(parts[-1])), []


def instrument_of(name: DatasetName, field: str) -> tuple[InstrumentId | None, list[Violation]]:
    """Say which instrument of which exchange a dataset is fetched from, or all that is wrong."""
    if len(name.parts) != 4:
        known = ", ".join(EXCHANGES)
        return None, [
            Violation(
                field,
                f"{name.full!r} has no source to fetch from: wanted "
                f'"datasets/{{source}}.{{category}}.{{symbol}}.{{interval or funding}}" with a '
                f'source of {known}, or "datasets/synthetic.{{label}}.{{interval}}"',
            )
        ]
    source, category, symbol, _ = name.parts
    problems = market_problems(source, category, field, field)
    if source in EXCHANGES and category == "spot" and name.interval is None:
        problems.append(Violation(field, "spot markets have no funding"))
    return (None, problems) if problems else (InstrumentId(source, category, symbol.upper()), [])


def market_problems(
    source: str, category: str, source_field: str, category_field: str
) -> list[Violation]:
    """Return what is wrong with an exchange and its market."""
    if source not in EXCHANGES:
        known = ", ".join(EXCHANGES)
        markets = sorted({market for names in EXCHANGES.values() for market in names})
        problems = [Violation(source_field, f"source {source!r} is unknown; known: {known}")]
    else:
        markets, problems = list(EXCHANGES[source]), []
    if category not in markets:
        known = ", ".join(markets)
        problems.append(
            Violation(category_field, f"category {category!r} is unknown; known: {known}")
        )
    return problems


def _quoted(parts: list[str]) -> str:
    return ", ".join(f'"{part[:40]}"' for part in parts[:5])
