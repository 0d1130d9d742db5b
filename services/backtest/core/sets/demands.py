"""What rows the sets of a batch need: how many fit together, and which sets need too many."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from services.backtest.core.evaluation.lookback import Lookbacks
from services.backtest.core.evaluation.workbench import Workbench
from services.backtest.core.expression.program import Program
from services.backtest.core.expression.statics import static_parameters
from services.backtest.core.kernel import Integers
from services.backtest.core.planes.plane_code import PlaneCode, plane_code
from services.backtest.core.planes.row_table import LONGEST_WHOLE
from services.backtest.core.sets.parameter_sets import Combiner
from services.backtest.core.sets.planning import SetGroup

_MOST_SETS: Final = 4_096
_MOST_ROW_BYTES: Final = 64 * 2**20
_MOST_PLANE_BYTES: Final = 64 * 2**20

_MOST_ROWS: Final = 2_000
"""Rows one set may need: terms that use each other shifted can ask for very many."""

_MOST_VALUES: Final = 2**28
"""Numbers in the rows of one set."""


def most_rows(bar_count: int) -> int:
    """Return how many rows one set may need on a window of that many bars."""
    return min(_MOST_ROWS, max(1, _MOST_VALUES // max(1, bar_count)))


def most_sets(bar_count: int, code: PlaneCode) -> int:
    """Return how many sets may be run at once: the planes of long windows are many bytes."""
    if bar_count <= LONGEST_WHOLE:
        return _MOST_SETS
    return max(1, min(_MOST_SETS, _MOST_PLANE_BYTES // (code.planes * bar_count // 8 + 1)))


def costly(bench: Workbench, group: SetGroup, combiner: Combiner) -> npt.NDArray[np.bool_]:
    """Return which sets of a group need more than `most_rows`, shape (sets,)."""
    program, sets = group.program, group.sets
    wanted = code_of(program, tuple(program.signals.values())).rows
    roots = [(one.place, one.above) for one in wanted]
    roots += [(place, 0) for place in program.distances.values()]
    most = most_rows(bench.bar_count)
    found = np.zeros(len(sets), np.bool_)
    if _written_out(program, tuple(place for place, _ in roots)) <= most:
        return found
    names = frozenset[str]().union(*(parameters_of(program, place) for place, _ in roots))
    combinations = combiner.of(names)
    for chosen in np.unique(combinations.of[sets]).tolist():
        lookbacks = Lookbacks(program, combinations.values[chosen])
        if lookbacks.row_count(roots, bench.interval, most) > most:
            found |= combinations.of[sets] == chosen
    return found


def too_many(
    bench: Workbench, program: Program, code: PlaneCode, combiner: Combiner, sets: Integers
) -> bool:
    """Say whether sets have more rows than the table holds, or than memory shall."""
    few = bench.bar_count <= LONGEST_WHOLE
    columns = [combiner.of(parameters_of(program, wanted.place)) for wanted in code.rows]
    most = sum(len(column.values) for column in columns)
    if few and most <= bench.table.capacity and not program.distances:
        return False
    counts = [len(np.unique(column.of[sets])) for column in columns]
    if sum(counts) > bench.table.capacity:
        return True
    # Rows of short windows are no more than fit the table; means and prices are read where they
    # are. Distances are rows, and lines of the engine beside.
    kept = sum(
        count
        for wanted, count in zip(code.rows, counts, strict=True)
        if not few and program.nodes[wanted.place].operation not in {"sma", "column"}
    )
    for place in program.distances.values():
        if not program.nodes[place].static:
            kept += 2 * len(np.unique(combiner.of(parameters_of(program, place)).of[sets]))
    return kept * bench.bar_count * 8 > _MOST_ROW_BYTES


@lru_cache(256)
def code_of(program: Program, places: tuple[int, ...]) -> PlaneCode:
    """Return `plane_code`, kept."""
    return plane_code(program, places)


@lru_cache(4_096)
def parameters_of(program: Program, place: int) -> frozenset[str]:
    """Return `static_parameters`, kept."""
    return static_parameters(program, place)


@lru_cache(256)
def _written_out(program: Program, places: tuple[int, ...]) -> int:
    """Return how many rows nodes take at most: those below, as often as they are used."""
    sizes: list[int] = []
    for node in program.nodes:
        below = () if node.static else node.inputs
        sizes.append(1 + sum(sizes[place] for place in below))
    return sum(sizes[place] for place in places)
