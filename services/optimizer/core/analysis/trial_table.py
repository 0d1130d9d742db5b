"""The trials of a study as columns: what lists, reports and exports of large studies work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class TrialTable:
    """All stored trials of a study by rising number, n of them.

    Attributes:
        numbers: Trial numbers, int64, shape (n,); 0 to n - 1.
        generation_numbers: int32, shape (n,).
        states: Numbers of `TrialState`, int8, shape (n,).
        feasible: bool, shape (n,).
        objective_values: float64, shape (n, objectives); NaN in all columns unless complete.
        parameters: The searched parameters by name, in the order of the study's shape, shape (n,):
            int64 for whole numbers, float64 for numbers, int32 places in the categories for words.
        metrics: The metrics asked for by name, float64, shape (n,); NaN where undefined.
    """

    numbers: npt.NDArray[np.int64]
    generation_numbers: npt.NDArray[np.int32]
    states: npt.NDArray[np.int8]
    feasible: npt.NDArray[np.bool_]
    objective_values: npt.NDArray[np.float64]
    parameters: Mapping[str, npt.NDArray[Any]]
    metrics: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.numbers)

    def first(self, count: int) -> TrialTable:
        """Return the table of the first trials."""
        if count >= len(self):
            return self
        return TrialTable(
            self.numbers[:count],
            self.generation_numbers[:count],
            self.states[:count],
            self.feasible[:count],
            self.objective_values[:count],
            {name: column[:count] for name, column in self.parameters.items()},
            {name: column[:count] for name, column in self.metrics.items()},
        )
