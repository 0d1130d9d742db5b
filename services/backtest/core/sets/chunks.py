"""Sets that are run together, with everything their signals are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from services.backtest.core.engine import Lines, no_lines
from services.backtest.core.engine.inputs import LINES, VOLATILITY_LINE
from services.backtest.core.evaluation.row import Row
from services.backtest.core.evaluation.rows import Scope
from services.backtest.core.evaluation.timeline import IntervalUnusable
from services.backtest.core.evaluation.volatility import PERIOD, YEARLY, volatility_program
from services.backtest.core.evaluation.workbench import Workbench
from services.backtest.core.execution import EXECUTION_PARAMETERS, Execution
from services.backtest.core.expression.program import Program
from services.backtest.core.expression.statics import evaluate_static
from services.backtest.core.kernel import Integers, Numbers
from services.backtest.core.parameters import Value, problem_with
from services.backtest.core.planes.plane_code import PlaneCode, Wanted
from services.backtest.core.sets.demands import (
    code_of,
    costly,
    most_rows,
    most_sets,
    parameters_of,
    too_many,
)
from services.backtest.core.sets.parameter_sets import Combiner
from services.backtest.core.sets.planning import DISTANCES, SIGNALS, SetGroup
from services.backtest.core.sets.refusals import LookbackTooShort, TooCostly, WindowTooShort

_LIMITS: Final = {info.name: info for info in EXECUTION_PARAMETERS}


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Sets that are run by one call of the engine.

    Attributes:
        sets: Their numbers in the batch.
        rows: The different rows their signals are made of.
        operands: For every set and every row of the code its place in `rows`.
        constants: For every set the numbers of the code.
        firsts: For every set the bar of the first decision.
        lines: Distances, sizes and volatilities that differ from bar to bar.
        distances: Distances that do not, by execution parameter, for every set.
    """

    sets: Integers
    rows: tuple[Row, ...]
    operands: Integers
    constants: Numbers
    firsts: Integers
    lines: Lines
    distances: Mapping[str, Numbers]

    def part(self, begin: int, end: int) -> Chunk:
        """Return some of the sets, with the rows of all."""
        own = slice(begin, end)
        return replace(
            self,
            sets=self.sets[own],
            operands=self.operands[own],
            constants=self.constants[own],
            firsts=self.firsts[own],
            lines=self.lines._replace(of=self.lines.of[own]),
            distances={name: values[own] for name, values in self.distances.items()},
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A row for every set: the different rows, and which a set has."""

    rows: tuple[Row | None, ...]
    of: Integers


class ChunkMaker:
    """Cuts the sets of a group into chunks.

    Attributes:
        code: What gives the signals of the group's sets, in the order of `group.signals`.
        failures: Sets that cannot be run, by their number, as they are found.
    """

    def __init__(
        self, bench: Workbench, group: SetGroup, combiner: Combiner, execution: Execution
    ) -> None:
        """Take sets whose values are sound."""
        self.code: PlaneCode = code_of(group.program, tuple(group.signals.values()))
        self.failures: dict[int, Exception] = {}
        self._bench = bench
        self._group = group
        self._combiner = combiner
        self._execution = execution

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks in the order of the sets, without the sets that cannot be run."""
        begin = 0
        size = most_sets(self._bench.bar_count, self.code)
        all_sets = self._affordable()
        while begin < len(all_sets):
            sets = all_sets[begin : begin + size]
            while len(sets) > 1 and too_many(
                self._bench, self._group.program, self.code, self._combiner, sets
            ):
                sets = sets[: len(sets) // 2]
            begin += len(sets)
            chunk = self._chunk(sets)
            if len(chunk.sets):
                yield chunk

    def _affordable(self) -> Integers:
        """Return the sets but for those that need too many rows, which are noted."""
        refused = costly(self._bench, self._group, self._combiner)
        error = TooCostly(most_rows(self._bench.bar_count))
        self.failures.update(dict.fromkeys(self._group.sets[refused].tolist(), error))
        return self._group.sets[~refused]

    def _chunk(self, sets: Integers) -> Chunk:
        program = self._group.program
        inputs = code_of(program, tuple(program.signals.values())).rows
        columns = {
            wanted: self._column(program, sets, wanted) for wanted in {*inputs, *self.code.rows}
        }
        steady = self._distances(sets)
        drawn = {
            place: self._column(program, sets, Wanted(place, 0))
            for name, place in program.distances.items()
            if DISTANCES[name] not in steady
        }
        volatility = self._volatility(sets)
        lines = [*drawn.values(), *([volatility] if volatility else [])]
        firsts = self._firsts(sets, columns, lines)
        kept = self._sound(sets)
        rows, operands = self._operands([columns[wanted] for wanted in self.code.rows], kept)
        return Chunk(
            sets=sets[kept],
            rows=rows,
            operands=operands,
            constants=self._constants(sets[kept]),
            firsts=firsts[kept],
            lines=self._lines(drawn, volatility, kept),
            distances={name: values[kept] for name, values in steady.items()},
        )

    def _sound(self, sets: Integers) -> Integers:
        if not self.failures:
            return np.arange(len(sets))
        return np.flatnonzero([number not in self.failures for number in sets.tolist()])

    def _column(self, program: Program, sets: Integers, wanted: Wanted) -> _Column:
        """Return a row for every set; sets whose row cannot be made are noted."""
        names = parameters_of(program, wanted.place)
        combinations = self._combiner.of(names)
        used, of = combinations.used(sets)
        rows: list[Row | None] = []
        for place, chosen in enumerate(used.tolist()):
            values = combinations.values[chosen]
            try:
                # A scope keeps all rows on the way, so none outlives its row.
                rows.append(self._row(program, wanted, values, partial(Scope, program, values)))
            except IntervalUnusable:
                raise
            except Exception as error:  # noqa: BLE001 - a defect in one set must not fail the others
                rows.append(None)
                for number in sets[of == place].tolist():
                    self.failures.setdefault(number, error)
        return _Column(tuple(rows), of)

    def _row(
        self,
        program: Program,
        wanted: Wanted,
        values: Mapping[str, Value],
        scope: Callable[[], Scope],
    ) -> Row:
        key = (program, wanted.place, wanted.above, tuple(values.items()))
        needed = self._bench.lookback(key, scope)
        if needed > self._bench.window_start and not self._bench.begins_dataset:
            raise LookbackTooShort(needed, self._bench.window_start)
        return self._bench.row(key, scope)

    def _volatility(self, sets: Integers) -> _Column | None:
        """Return the yearly volatilities of closes, where sizes aim at one."""
        searched = "volatility_target_ratio" in self._combiner.given
        if self._execution.volatility_target_ratio is None and not searched:
            return None
        program = volatility_program()
        values = {
            PERIOD: self._execution.volatility_period_bars,
            YEARLY: self._bench.interval.bars_per_year,
        }
        wanted = Wanted(program.distances["position_fraction"], 0)
        scope = Scope(program, values)
        try:
            row = self._row(program, wanted, values, lambda: scope)
        except LookbackTooShort as error:
            for number in sets.tolist():
                self.failures.setdefault(number, error)
            return _Column((None,), np.zeros(len(sets), np.int64))
        return _Column((row,), np.zeros(len(sets), np.int64))

    def _firsts(
        self, sets: Integers, columns: Mapping[Wanted, _Column], lines: Sequence[_Column]
    ) -> Integers:
        """Return the first bar of the window at which every input of a set is defined."""
        start = self._bench.window_start
        firsts = np.full(len(sets), start)
        for wanted, column in (*columns.items(), *((Wanted(0, 0), line) for line in lines)):
            defined = [row.defined if row else start for row in column.rows]
            np.maximum(firsts, np.array(defined)[column.of] + wanted.above, out=firsts)
        firsts -= start
        bars = self._bench.bar_count
        for place in np.flatnonzero(firsts + 2 > bars).tolist():
            error = WindowTooShort(int(firsts[place]) + 2, bars)
            self.failures.setdefault(int(sets[place]), error)
        return firsts

    def _operands(
        self, columns: Sequence[_Column], kept: Integers
    ) -> tuple[tuple[Row, ...], Integers]:
        rows: dict[int, Row] = {}
        places: dict[int, int] = {}
        operands = np.empty((len(kept), len(columns)), np.int64)
        for number, column in enumerate(columns):
            own = np.zeros(len(column.rows), np.int64)
            for place, row in enumerate(column.rows):
                if row is not None:
                    rows[row.number] = row
                    own[place] = places.setdefault(row.number, len(places))
            operands[:, number] = own[column.of[kept]]
        return tuple(rows.values()), operands

    def _constants(self, sets: Integers) -> Numbers:
        constants = np.full((len(sets), len(self.code.constants)), 0.5)
        for number, place in enumerate(self.code.constants):
            if place is not None:
                constants[:, number] = self._static(place, sets)
        return constants

    def _static(self, place: int, sets: Integers) -> Numbers:
        """Return a static number for every set."""
        program = self._group.program
        combinations = self._combiner.of(parameters_of(program, place))
        used, of = combinations.used(sets)
        values = [
            float(evaluate_static(program, place, combinations.values[chosen]))
            for chosen in used.tolist()
        ]
        return np.array(values, np.float64)[of]

    def _distances(self, sets: Integers) -> dict[str, Numbers]:
        """Return the distances that are the same at every bar and usable in every set."""
        program = self._group.program
        found = {}
        for name, place in program.distances.items():
            if program.nodes[place].static:
                info = _LIMITS[DISTANCES[name]]
                values = self._static(place, sets)
                if all(problem_with(info, value) is None for value in np.unique(values).tolist()):
                    found[DISTANCES[name]] = values
        return found

    def _lines(
        self, drawn: Mapping[int, _Column], volatility: _Column | None, kept: Integers
    ) -> Lines:
        places = {
            line: drawn[place]
            for line, name in enumerate(DISTANCES)
            if (place := self._group.program.distances.get(name, -1)) in drawn
        }
        if volatility is not None:
            places[VOLATILITY_LINE] = volatility
        if not places:
            return no_lines()
        rows, operands = self._operands(list(places.values()), kept)
        values = np.empty((len(rows), self._bench.bar_count))
        for row, out in zip(rows, values, strict=True):
            row.fill(self._bench.window_start, out)
        of = np.full((len(kept), LINES), -1, np.int64)
        for number, line in enumerate(places):
            of[:, line] = operands[:, number]
        return Lines(values, of)


def signal_columns(code: PlaneCode, signals: Mapping[str, int]) -> Integers:
    """Return which plane each signal of the engine is, -1 for those that do not count."""
    planes = dict(zip(signals, code.outputs, strict=True))
    return np.array([planes.get(name, -1) for name in SIGNALS], np.int64)
