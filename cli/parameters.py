"""Words such as "fast_period=20" as typed parameters and as fields of the execution model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import yaml
from assay.backtest.v1.execution_pb2 import ExecutionModel, PinnedSeries
from assay.backtest.v1.strategy_pb2 import (
    ParameterAssignment,
    ParameterDefinition,
    ParameterInfo,
    ParameterValue,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from typer import BadParameter

from cli.options import dataset_name

if TYPE_CHECKING:
    from assay.backtest.v1.backtest_service_pb2 import ListStrategiesResponse

Types = Mapping[str, int]
"""Values of `ParameterInfo.Type` by the names of parameters."""


def split(word: str, option: str) -> tuple[str, str]:
    """Split "name=value"; BadParameter for other words."""
    name, equals, text = word.partition("=")
    if not (name and equals and text):
        raise BadParameter(f"{option} {word!r}: say NAME=VALUE")
    return name.strip(), text.strip()


def types_of(
    known: ListStrategiesResponse, strategy: str, own: Iterable[ParameterDefinition] = ()
) -> Types:
    """Return the types of all parameters that may be given with a strategy.

    `own` are those of a definition, which has no name to be known by.
    """
    types: dict[str, int] = {info.name: info.type for info in known.execution_parameters}
    for item in known.strategies:
        if item.name == strategy:
            types |= {info.name: info.type for info in item.parameters}
    return types | {item.name: item.type for item in own}


def assignment(name: str, text: str, types: Types) -> ParameterAssignment:
    """Return a parameter with its value, typed as the strategy wants it.

    A word that does not fit the type, and an unknown parameter, go as what they look like: the
    service knows best what is wrong with them.
    """
    return ParameterAssignment(name=name, value=_value(text, types.get(name)))


def _value(text: str, kind: int | None) -> ParameterValue:
    if kind != ParameterInfo.TYPE_CATEGORY:
        try:
            if kind != ParameterInfo.TYPE_DOUBLE:
                return ParameterValue(int_value=int(text))
        except ValueError:
            pass
        try:
            return ParameterValue(double_value=float(text))
        except ValueError:
            pass
    return ParameterValue(category_value=text)


def execution_model(words: Iterable[str]) -> ExecutionModel | None:
    """Return the execution model of words such as "taker_fee_bps=5"; None without any.

    Raises:
        BadParameter: words name no field, all of them told, or a value cannot be read.
    """
    content: dict[str, Any] = {}
    unknown = []
    for word in words:
        name, text = split(word, "--execution")
        field = ExecutionModel.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            unknown.append(f"--execution {name}: no such field{_nearest(name)}")
        else:
            content[name] = _read(field, text)
    if unknown:
        raise BadParameter("; ".join(unknown))
    if not content:
        return None
    try:
        return ParseDict(content, ExecutionModel())
    except ParseError as error:
        raise BadParameter(f"--execution: {error}") from None


def _read(field: FieldDescriptor, text: str) -> object:
    if field.message_type is not None:
        return _read_message(field.message_type, text)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"true": True, "false": False}.get(text.lower(), text)
    if field.enum_type is not None:
        # The short word does too: "target_first" is INTRABAR_POLICY_TARGET_FIRST.
        word = text.upper().replace("-", "_")
        matches = [item for item in field.enum_type.values_by_name if item.endswith(f"_{word}")]
        return matches[0] if len(matches) == 1 else text
    return text


def _read_message(message: Descriptor, text: str) -> object:
    """Return what YAML makes of a text: "{tick_size_quote: 0.1}"; a series is its dataset alone."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        told = str(error).splitlines()[0]
        raise BadParameter(f"--execution {text!r} is no YAML: {told}") from None
    if message is PinnedSeries.DESCRIPTOR and isinstance(content, str):
        return {"dataset": dataset_name(content)}
    return content


def _nearest(name: str) -> str:
    close = get_close_matches(name, ExecutionModel.DESCRIPTOR.fields_by_name, n=1)
    return f"; did you mean {close[0]}?" if close else ""
