"""Groups of trials as packed columns, and tables made of them.

Little-endian. `base`: generation numbers int32, states int8, feasible int8, objective values
float64 (trial after trial, NaN unless complete), then each searched parameter in the order of the
shape (int64, float64, or int32 places in the categories). `metrics`: float64, all trials' values of
the study's first metric, then of the second and so on; those only later groups have are missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import StudyShape
from services.optimizer.core.trial import Trial, TrialState

CELL_BYTES: Final = 8
"""Size of a metric's value."""

_TYPES: Final = {"int": "<i8", "double": "<f8", "category": "<i4"}


def metric_order(known: Sequence[str], trials: Sequence[Trial]) -> list[str]:
    """Return the metrics known so far and those that only these trials have."""
    order = dict.fromkeys(known)
    for trial in trials:
        order.update(dict.fromkeys(trial.outcome.metrics))
    return list(order)


def pack_base(shape: StudyShape, trials: Sequence[Trial]) -> bytes:
    """Return the `base` of a group."""
    unset = (math.nan,) * len(shape.metric_names)
    columns: list[npt.NDArray[Any]] = [
        np.array([trial.generation_number for trial in trials], "<i4"),
        np.array([trial.state.value for trial in trials], "<i1"),
        np.array([trial.feasible for trial in trials], "<i1"),
        np.array(
            [
                trial.objective_values if trial.state is TrialState.COMPLETE else unset
                for trial in trials
            ],
            "<f8",
        ),
    ]
    for parameter in shape.searched:
        values: list[Any] = [trial.parameters[parameter.name] for trial in trials]
        if parameter.kind == "category":
            places = {word: place for place, word in enumerate(parameter.categories)}
            values = [places[word] for word in values]
        columns.append(np.array(values, _TYPES[parameter.kind]))
    return b"".join(column.tobytes() for column in columns)


def pack_metrics(order: Sequence[str], trials: Sequence[Trial]) -> bytes:
    """Return the `metrics` of a group."""
    known = [trial.outcome.metrics for trial in trials]
    nan = math.nan
    return np.array([[one.get(name, nan) for one in known] for name in order], "<f8").tobytes()


class TableFiller:
    """Fills a table of known length, group after group."""

    def __init__(self, shape: StudyShape, trial_count: int, metrics: Sequence[str]) -> None:
        self._shape = shape
        self._generation_numbers = np.zeros(trial_count, np.int32)
        self._states = np.zeros(trial_count, np.int8)
        self._feasible = np.zeros(trial_count, np.bool_)
        self._objective_values = np.full((trial_count, len(shape.metric_names)), np.nan)
        self._parameters = {
            one.name: np.zeros(trial_count, _TYPES[one.kind]) for one in shape.searched
        }
        self._metrics = {name: np.full(trial_count, np.nan) for name in metrics}

    def put_base(self, first_number: int, count: int, base: bytes) -> None:
        """Unpack the `base` of a group of `count` trials that begins with `first_number`."""
        rows = slice(first_number, first_number + count)
        objective_count = self._objective_values.shape[1]
        parts: list[tuple[npt.NDArray[Any], str, int]] = [
            (self._generation_numbers[rows], "<i4", count),
            (self._states[rows], "<i1", count),
            (self._feasible[rows], "<i1", count),
            (self._objective_values[rows].reshape(-1), "<f8", count * objective_count),
        ]
        parts += [
            (self._parameters[one.name][rows], _TYPES[one.kind], count)
            for one in self._shape.searched
        ]
        offset = 0
        for target, kind, cells in parts:
            source = np.frombuffer(base, kind, cells, offset)
            target[:] = source
            offset += source.nbytes

    def put_metrics(
        self, first_number: int, count: int, names: Sequence[str], packed: bytes
    ) -> None:
        """Unpack a run of metrics of a group; `packed` may end before `names` do."""
        values = np.frombuffer(packed, "<f8").reshape(-1, count)
        for name, row in zip(names, values, strict=False):
            if name in self._metrics:
                self._metrics[name][first_number : first_number + count] = row

    def put_trials(self, trials: Sequence[Trial]) -> None:
        """Take trials that are not stored as columns."""
        order = list(self._metrics)
        first, count = trials[0].number, len(trials)
        self.put_base(first, count, pack_base(self._shape, trials))
        self.put_metrics(first, count, order, pack_metrics(order, trials))

    def table(self) -> TrialTable:
        """Return the table."""
        return TrialTable(
            numbers=np.arange(len(self._states), dtype=np.int64),
            generation_numbers=self._generation_numbers,
            states=self._states,
            feasible=self._feasible,
            objective_values=self._objective_values,
            parameters=self._parameters,
            metrics=self._metrics,
        )
