"""What a soak runs: a small study of every search, and of the ways that run it differently."""

from __future__ import annotations

from typing import Any, Final

from assay.market.v1 import candles_pb2
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

_RANGES: Final[list[dict[str, Any]]] = [
    {"name": "fast_period", "int_range": {"low": 5, "high": 60}},
    {"name": "slow_period", "int_range": {"low": 20, "high": 200}},
    {"name": "stop_loss_ratio", "double_range": {"low": 0.005, "high": 0.1}},
]
_STEPS: Final[list[dict[str, Any]]] = [
    {"name": "fast_period", "int_range": {"low": 5, "high": 75, "step": 5}},
    {"name": "slow_period", "int_range": {"low": 20, "high": 200, "step": 12}},
]
_BASE: Final[dict[str, Any]] = {
    "strategy": {"name": "strategies/ma_crossover"},
    "execution": {"taker_fee_bps": 5.5, "slippage_bps": 1.0},
    "parameters": _RANGES,
    "constraints": ["fast_period < slow_period"],
    "objectives": [{"metric": "sharpe_ratio"}],
    "seed": "7",
}
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "grid": {"grid": {}, "parameters": _STEPS, "generation_size": 32},
    "brute_force": {"brute_force": {"trial_count": 128}, "parameters": _STEPS},
    "random": {"random": {"trial_count": 400}, "generation_size": 64},
    "qmc": {"qmc": {"trial_count": 256}, "generation_size": 64},
    "bayesian": {"bayesian": {"trial_count": 100}},
    "cma_es": {"cma_es": {"trial_count": 120}},
    "evolutionary": {
        "evolutionary": {"trial_count": 150},
        "objectives": [
            {"metric": "sharpe_ratio"},
            {"metric": "max_drawdown_ratio", "direction": "DIRECTION_MINIMIZE"},
        ],
    },
    "pruned": {"random": {"trial_count": 200}, "pruning": {"median": {}}, "generation_size": 32},
    "walk_forward": {
        "random": {"trial_count": 40},
        "walk_forward": {
            "mode": "MODE_ROLLING",
            "in_sample": {"days": 120},
            "out_of_sample": {"days": 40},
        },
    },
}


def specs(snapshot: candles_pb2.CandleSnapshot) -> dict[str, study_pb2.StudySpec]:
    """Return the studies by name, over pinned candles, each with a fixed seed."""
    found = {}
    for name, own in _KINDS.items():
        found[name] = json_format.ParseDict(_BASE | own, study_pb2.StudySpec())
        found[name].data.append(snapshot)
    return found
