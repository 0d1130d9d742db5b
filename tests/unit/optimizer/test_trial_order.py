"""Lists of trials from columns: which of them, in which order."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.optimizer.core.analysis.trial_order import TrialOrder, ordered
from services.optimizer.core.trial import TrialState
from tests.unit.optimizer.tables import table_of

NAN = math.nan


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([NAN, -1.0, -0.0, 0.0, 1.5, 2.0]), st.sampled_from([1, 2, 3])),
        max_size=25,
    ),
    falling=st.booleans(),
    state=st.sampled_from([None, *TrialState]),
)
def test_a_metric_orders_trials_as_sorting_them_would(
    rows: list[tuple[float, int]], falling: bool, state: TrialState | None
) -> None:
    """Those without it last; equals by rising number, both ways."""
    table = table_of(
        np.zeros((len(rows), 1)),
        states=[one for _, one in rows],
        metrics={"sqn": np.array([value for value, _ in rows])},
    )
    wanted = sorted(
        (n for n, (_, one) in enumerate(rows) if state is None or one == state.value),
        key=lambda n: (
            math.isnan(rows[n][0]),
            0.0 if math.isnan(rows[n][0]) else rows[n][0] * (-1 if falling else 1),
            n,
        ),
    )

    assert ordered(table, TrialOrder("sqn", falling), state).tolist() == wanted


def test_numbers_rise_or_fall() -> None:
    """Within a state as among all."""
    table = table_of(np.zeros((5, 1)), states=[1, 2, 1, 3, 1])
    found = {
        (falling, state): ordered(table, TrialOrder(falling=falling), state).tolist()
        for falling, state in itertools.product((False, True), (None, TrialState.COMPLETE))
    }

    assert found == {
        (False, None): [0, 1, 2, 3, 4],
        (True, None): [4, 3, 2, 1, 0],
        (False, TrialState.COMPLETE): [0, 2, 4],
        (True, TrialState.COMPLETE): [4, 2, 0],
    }
    assert ordered(table, TrialOrder(), None).dtype == np.int64
