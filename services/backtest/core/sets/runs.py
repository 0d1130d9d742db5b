"""Running chunks of sets: rows to planes, planes to metrics, on the path that fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.backtest.core.engine import (
    DAYS,
    NO_LEVELS,
    Recorded,
    Signals,
    run_many,
    run_one,
    wants_of,
)
from services.backtest.core.evaluation.workbench import Workbench
from services.backtest.core.execution import SIZES, Direction, Execution
from services.backtest.core.kernel import Bytes, Integers, Numbers
from services.backtest.core.metrics import METRIC_NAMES, Metric
from services.backtest.core.planes.crossings import Words
from services.backtest.core.planes.plane_code import PlaneCode
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.planes.slow_turns import TurnLists
from services.backtest.core.planes.turns import turning
from services.backtest.core.sets.chunks import Chunk, signal_columns
from services.backtest.core.sets.comparing import Comparing
from services.backtest.core.sparse import DAYS as SPARSE_DAYS
from services.backtest.core.sparse import MOST_BARS, NOT_COVERED, run_changes, run_plain
from services.backtest.core.sparse import wants_of as sparse_wants_of
from services.backtest.core.strategies.strategy import Strategy
from services.backtest.core.terms import terms_matrix, terms_of, tiers_of

Flags = npt.NDArray[np.bool_]
Results = tuple[Numbers, Bytes, Bytes]
"""Metrics and reasons, shape (sets, metrics), and whether all numbers are finite, shape (sets,)."""

_BY_RANGES: Final = (Metric.BAR_SHARPE_RATIO, Metric.MAX_DRAWDOWN_RATIO, Metric.CALMAR_RATIO)
"""Metrics that plain sets take from the sparse path, whatever else is wanted."""

_FRACTION: Final = "position_fraction_ratio"


class Runner:
    """Runs the chunks of one batch, or one set.

    Which path a set takes follows from the strategy, the execution model, its own parameters and
    the length of the window alone: a set has the same bits in a batch and alone, whatever metrics
    are wanted.

    Attributes:
        comparing: What makes the planes of chunks.
    """

    def __init__(
        self,
        bench: Workbench,
        strategy: Strategy,
        direction: Direction,
        execution: Execution,
        metrics: Sequence[str],
        *,
        daily: bool = False,
    ) -> None:
        """Take what all sets share; `metrics` are those wanted, with `daily` levels too."""
        self.comparing = Comparing(bench)
        self._bench = bench
        self._execution = execution
        if "position_fraction" in strategy.program.distances:
            none: dict[str, Any] = dict.fromkeys(SIZES)
            self._execution = replace(execution, **none)
        self._wants = wants_of(metrics) | (DAYS if daily else 0)
        self._plain_terms = terms_of(self._execution)
        self._sparse_wants = sparse_wants_of(metrics) | (SPARSE_DAYS if daily else 0)
        self._dense = bool(NOT_COVERED.intersection(metrics))
        self._may_be_plain = (
            direction is Direction.LONG
            and "enter_long" in strategy.program.signals
            and not strategy.program.distances
            and _is_plain(self._execution, bench)
        )

    def run(
        self,
        code: PlaneCode,
        signals: Mapping[str, int],
        chunk: Chunk,
        columns: Mapping[str, Numbers],
        levels: Numbers = NO_LEVELS,
    ) -> Results:
        """Run a chunk; `columns` are the execution parameters that differ between its sets.

        `levels`, shape (sets, midnights), gets the equity at midnights; without rows it does not.
        """
        plain = self._plain(chunk, columns)
        turns = turning(code, signals)
        if plain.all() and not self._dense and turns and self.comparing.can_list(chunk):
            return self._run_turns(chunk, turns, levels)
        lists = None if plain.any() else self.comparing.turn_lists(chunk, turns)
        if lists:
            wanted = _listed(code, signals, chunk, lists, self._bench.bar_count)
        else:
            planes = self.comparing.planes(code, chunk, turns=turns)
            if plain.all() and not self._dense:
                return self._run_plain(code, planes, signals, chunk.firsts, plain, levels)
            wanted = Signals(planes, signal_columns(code, signals), chunk.firsts)
        count = len(chunk.sets)
        results = _empty(count)
        run_many(
            self._bench.market,
            wanted,
            chunk.lines,
            self._terms(chunk, columns),
            tiers_of(self._execution),
            self._wants,
            0,
            count,
            *results,
            levels,
        )
        if plain.any():
            self._overlay(
                results, self._run_plain(code, planes, signals, chunk.firsts, plain), plain
            )
        return results

    def record(
        self,
        code: PlaneCode,
        signals: Mapping[str, int],
        chunk: Chunk,
    ) -> Recorded:
        """Run the only set of a chunk and tell everything; its parameters are in the model."""
        planes = self.comparing.planes(code, chunk, turns=turning(code, signals))
        recorded = run_one(
            self._bench.market,
            Signals(planes, signal_columns(code, signals), chunk.firsts),
            chunk.lines,
            self._terms(chunk, {}),
            tiers_of(self._execution),
        )
        plain = self._plain(chunk, {})
        if plain.all():
            results = (
                recorded.values[np.newaxis],
                recorded.reasons[np.newaxis],
                np.ones(1, np.uint8),
            )
            self._overlay(
                results, self._run_plain(code, planes, signals, chunk.firsts, plain), plain
            )
        return recorded

    def _plain(self, chunk: Chunk, columns: Mapping[str, Numbers]) -> Flags:
        """Return which sets of a chunk are plain."""
        searched = columns.keys() - {_FRACTION}
        plain = np.full(len(chunk.sets), self._may_be_plain and not searched, np.bool_)
        fraction = self._execution.position_fraction_ratio
        fractions = columns.get(_FRACTION, 1.0 if fraction is None else fraction)
        return plain & (fractions == 1.0)

    def _terms(self, chunk: Chunk, columns: Mapping[str, Numbers]) -> Numbers:
        return terms_matrix(self._execution, {**columns, **chunk.distances}, len(chunk.sets))

    def _run_plain(
        self,
        code: PlaneCode,
        planes: Words,
        signals: Mapping[str, int],
        firsts: Integers,
        plain: Flags,
        levels: Numbers = NO_LEVELS,
    ) -> Results:
        """Return the metrics of the plain sets, save those that take every bar."""
        enter, leave = signal_columns(code, signals)[:2]
        opens = _of_sets(planes[enter], plain)
        leaves = np.zeros_like(opens) if leave < 0 else _of_sets(planes[leave], plain)
        found = _empty(len(opens))
        run_plain(
            self._bench.market,
            self._bench.ranges,
            opens,
            leaves,
            firsts[plain],
            self._plain_terms,
            self._sparse_wants,
            *found,
            levels,
        )
        return found

    def _run_turns(self, chunk: Chunk, turns: tuple[int, int], levels: Numbers) -> Results:
        """Return the metrics of plain sets whose only signals are turns."""
        found = _empty(len(chunk.sets))
        run_changes(
            self._bench.market,
            self._bench.ranges,
            self.comparing.listing(chunk, turns),
            chunk.firsts,
            self._plain_terms,
            self._sparse_wants,
            *found,
            levels,
        )
        return found

    def _overlay(self, results: Results, found: Results, plain: Flags) -> None:
        """Give the plain sets what the sparse path found: all it can tell, or the ranges' own."""
        if self._dense:
            for metric in _BY_RANGES:
                results[0][plain, metric] = found[0][:, metric]
                results[1][plain, metric] = found[1][:, metric]
            return
        results[0][plain], results[1][plain], results[2][plain] = found


def _listed(
    code: PlaneCode, signals: Mapping[str, int], chunk: Chunk, lists: TurnLists, bars: int
) -> Signals:
    """Return what sets want by the lists of their turns."""
    of = signal_columns(code, signals)
    own = np.full(len(of), -1)
    own[of == code.outputs[0]], own[of == code.outputs[1]] = 0, 1
    # Four words are passed over at once.
    planes = np.zeros((2, 1, -(-bars // (4 * WORD)) * 4), np.uint64)
    return Signals(planes, own, chunk.firsts, *lists)


def _of_sets(plane: Words, wanted: Flags) -> Words:
    return plane if wanted.all() else plane[wanted]


def _empty(count: int) -> Results:
    return (
        np.full((count, len(METRIC_NAMES)), np.nan),
        np.zeros((count, len(METRIC_NAMES)), np.uint8),
        np.ones(count, np.uint8),
    )


def _is_plain(execution: Execution, bench: Workbench) -> bool:
    """Say whether a model with position fraction 1 needs nothing but closes and opens."""
    off = (
        execution.stop_loss_ratio,
        execution.take_profit_ratio,
        execution.trailing_stop_ratio,
        execution.leverage,
        *(getattr(execution, size) for size in SIZES if size != _FRACTION),
        execution.tick_size_quote,
        execution.quantity_step_base,
        execution.minimum_quantity_base,
        execution.minimum_notional_quote,
    )
    return (
        all(field is None for field in off)
        and execution.max_entry_count == 1
        and not bench.funded
        and bench.bar_count <= MOST_BARS
    )
