"""Resampling and cross-validation: options from requests, results to messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from assay.backtest.v1 import backtest_service_pb2
from assay.market.v1 import candles_pb2
from assay.optimizer.v1 import resampling_pb2, study_pb2

from services.common.errors import Violation
from services.common.intervals import DAY_MS, Interval
from services.optimizer.convert.reports import buy_and_hold_request
from services.optimizer.convert.walk_forward import interval_of
from services.optimizer.core.analysis.luck.cross_validation import (
    CrossValidation,
    CrossValidationPlan,
)
from services.optimizer.core.analysis.luck.intervals import CONFIDENCE, Intervals
from services.optimizer.core.analysis.luck.resampling import REPETITIONS, block_days
from services.optimizer.core.analysis.luck.superior_ability import BenchmarkTest, SuperiorAbility
from services.optimizer.core.analysis.luck.verdict import Evidence

DEFAULT_GROUPS: Final = 10
DEFAULT_TEST_GROUPS: Final = 2
DEFAULT_PURGE_DAYS: Final = 1

FEWEST_GROUPS: Final = 3
MOST_GROUPS: Final = 16
MOST_SPLITS: Final = 5_000
MOST_APART: Final = 10_000
