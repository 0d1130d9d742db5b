"""The strategies and indicators as the contract lists them, page by page."""

from __future__ import annotations

from collections.abc import Sequence

from assay.backtest.v1 import backtest_service_pb2, strategy_pb2

from services.backtest.convert.choices import STRATEGY_PREFIX
from services.backtest.convert.definitions import definition_message
from services.backtest.convert.values import value_message
from services.backtest.core.execution import EXECUTION_PARAMETERS
from services.backtest.core.indicators.registry import INDICATORS
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
    names, token = _page(sorted(STRATEGIES), request.page_size, request.page_token)
    return backtest_service_pb2.ListStrategiesResponse(
        strategies=map(_strategy_message, names),
        execution_parameters=map(_info_message, EXECUTION_PARAMETERS),
        metrics=METRIC_NAMES,
        next_page_token=token,
    )


def indicators_page(
    request: backtest_service_pb2.ListIndicatorsRequest,
) -> backtest_service_pb2.ListIndicatorsResponse:
    """Return the wanted page of indicators; as `strategies_page`."""
    names, token = _page(sorted(INDICATORS), request.page_size, request.page_token)
    return backtest_service_pb2.ListIndicatorsResponse(
        indicators=map(_indicator_message, names), next_page_token=token
    )


def _page(names: Sequence[str], page_size: int, page_token: str) -> tuple[Sequence[str], str]:
    """Return the names of a page and the token of the next one."""
    found = []
    if page_size < 0:
        found.append(Violation("page_size", "must be 0 or more"))
    if page_token and page_token not in names:
        found.append(Violation("page_token", "is not a token of this list"))
    refuse(found)
    size = min(page_size or _DEFAULT_PAGE, _LARGEST_PAGE)
    rest = [name for name in names if name > page_token]
    page = rest[:size]
    return page, page[-1] if len(rest) > size else ""


def _strategy_message(name: str) -> strategy_pb2.Strategy:
    strategy = STRATEGIES[name]
    return strategy_pb2.Strategy(
        name=STRATEGY_PREFIX + name,
        description=strategy.description,
        parameters=map(_info_message, strategy.parameters),
        definition=definition_message(strategy.definition),
    )


def _indicator_message(name: str) -> strategy_pb2.Indicator:
    operation = INDICATORS[name]
    return strategy_pb2.Indicator(
        name=name,
        signature=operation.signature,
        description=operation.description,
        lookback=operation.lookback_text,
        plugin=operation.plugin,
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
