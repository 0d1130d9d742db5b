"""The strategies as the contract lists them, page by page."""

from __future__ import annotations

from assay.backtest.v1 import backtest_service_pb2, strategy_pb2

from services.backtest.convert.jobs import STRATEGY_PREFIX
from services.backtest.convert.values import value_message
from services.backtest.core.execution import EXECUTION_PARAMETERS
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import ParameterInfo
from services.backtest.core.strategies import STRATEGIES
from services.common.errors import Violation, refuse

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1_000


def strategies_page(
    request: backtest_service_pb2.ListStrategiesRequest,
) -> backtest_service_pb2.ListStrategiesResponse:
    """Return the wanted page of strategies; a page token is the name of the strategy before it.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID.
    """
    names = sorted(STRATEGIES)
    found = []
    if request.page_size < 0:
        found.append(Violation("page_size", "must be 0 or more"))
    if request.page_token and request.page_token not in names:
        found.append(Violation("page_token", "is not a token of this list"))
    refuse(found)
    size = min(request.page_size or _DEFAULT_PAGE, _LARGEST_PAGE)
    rest = [name for name in names if name > request.page_token]
    page = rest[:size]
    return backtest_service_pb2.ListStrategiesResponse(
        strategies=[_strategy_message(name) for name in page],
        execution_parameters=[_info_message(info) for info in EXECUTION_PARAMETERS],
        metrics=METRIC_NAMES,
        next_page_token=page[-1] if len(rest) > size else "",
    )


def _strategy_message(name: str) -> strategy_pb2.Strategy:
    strategy = STRATEGIES[name]
    return strategy_pb2.Strategy(
        name=STRATEGY_PREFIX + name,
        description=strategy.description,
        parameters=[_info_message(info) for info in strategy.parameters],
    )


def _info_message(info: ParameterInfo) -> strategy_pb2.ParameterInfo:
    return strategy_pb2.ParameterInfo(
        name=info.name,
        type=strategy_pb2.ParameterInfo.Type.ValueType(info.type),
        minimum=info.minimum,
        maximum=info.maximum,
        categories=info.categories,
        default_value=None if info.default is None else value_message(info.default),
        unit=info.unit,
        description=info.description,
    )
