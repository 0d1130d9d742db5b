"""The stationary bootstrap of the library arch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from services.optimizer.core.analysis.luck.resampling import REPETITIONS, PValues, block_days
from services.optimizer.core.analysis.luck.returns import Numbers


class ArchBootstrap:
    """A `Bootstrap`; see the port."""

    def p_values(self, differences: Numbers, seed: int) -> PValues:
        """Test whether any model has a mean above 0.

        arch's own `studentize` weighs no model against another: by it is only judged which are
        clearly worse. The differences are studentised already, and for such it finds 1 again.
        """
        from arch.bootstrap import SPA  # noqa: PLC0415 - seconds that starting up need not wait for

        days = differences.shape[1]
        test = SPA(
            np.zeros(days),
            np.ascontiguousarray(-differences.T),
            block_size=block_days(days),
            reps=REPETITIONS,
            bootstrap="stationary",
            studentize=True,
            seed=np.random.default_rng(seed),
        )
        test.compute()
        found = test.pvalues
        return PValues(*(float(found[name]) for name in ("lower", "consistent", "upper")))

    def resampled(
        self, returns: Numbers, statistics: Callable[[Numbers], Numbers], seed: int
    ) -> Numbers:
        """Return statistics of resampled returns."""
        from arch.bootstrap import StationaryBootstrap  # noqa: PLC0415 - as above

        drawing = StationaryBootstrap(
            block_days(len(returns)), returns, seed=np.random.default_rng(seed)
        )
        return np.asarray(drawing.apply(statistics, REPETITIONS), np.float64)
