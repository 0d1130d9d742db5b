"""Strategies written down by the caller: the built-in's own bits, or a refusal that points."""

from __future__ import annotations

from typing import Any

import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import strategy_pb2
from google.protobuf import json_format

from services.common.errors import AssayError, Code
from tests.service.backtest.calls import DATASET, Stub, refusal
from tests.service.backtest.in_memory_data import InMemoryData

BOTH = strategy_pb2.DIRECTION_BOTH


def run(definition: dict[str, Any], **fields: Any) -> pb.RunBacktestRequest:
    """Return a request for one backtest of a definition in its JSON form."""
    request = {"snapshot": {"dataset": DATASET}, "strategy": {"definition": definition}}
    return json_format.ParseDict(request | fields, pb.RunBacktestRequest())


def told(error: AssayError) -> dict[str, str]:
    """Return what is wrong by the fields of the definition."""
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert error.domain == "backtest.assay"
    return {
        item.field.removeprefix("strategy.definition."): item.description
        for item in error.violations
    }


async def test_a_built_in_sent_as_text_gives_the_same_bits(worker: Stub) -> None:
    """Each strategy's own definition gives its metrics, trades and curve, alone and in a batch."""
    known = await worker.ListStrategies(pb.ListStrategiesRequest())
    for strategy in known.strategies:
        named = strategy_pb2.StrategyChoice(name=strategy.name, direction=BOTH)
        written = strategy_pb2.StrategyChoice(definition=strategy.definition, direction=BOTH)
        answers = []
        for choice in (named, written):
            request = pb.RunBacktestRequest(strategy=choice, detail=pb.DETAIL_EQUITY_CURVE)
            request.snapshot.dataset = DATASET
            single = await worker.RunBacktest(request)
            assert single.strategy == choice
            single.ClearField("strategy")
            many = pb.RunBacktestBatchRequest(
                snapshot=request.snapshot, strategy=choice, set_count=2
            )
            answers.append((single, await worker.RunBacktestBatch(many)))

        assert answers[0] == answers[1], strategy.name
        assert strategy.definition.enter_long
        assert [one.name for one in strategy.definition.parameters] == [
            one.name for one in strategy.parameters
        ]


async def test_a_definition_with_all_its_parts_runs(worker: Stub) -> None:
    """Terms, words, longer bars, times, distances, a size and a requirement, with parameters."""
    definition = {
        "parameters": [
            {"name": "n", "type": "TYPE_INT", "minimum": 2, "maximum": 50},
            {
                "name": "kind",
                "type": "TYPE_CATEGORY",
                "categories": ["sma", "ema"],
                "default_value": {"category_value": "ema"},
            },
        ],
        "terms": [
            {"name": "mean", "expression": "choose(kind, sma = sma(close, n), ema = ema(close, n))"}
        ],
        "enter_long": 'close > mean and close > on("4h", ema(close, 3)) and weekday < 5',
        "exit_long": "crosses_below(close, mean) or hour == 23",
        "stop_loss": "2 * atr(5) / close",
        "take_profit": "0.05",
        "position_fraction": "if_else(rsi(close, 5) < 50, 0.5, 0.25)",
        "requirements": ["n > 2"],
    }
    given = [{"name": "n", "value": {"int_value": "7"}}]
    answer = await worker.RunBacktest(run(definition, parameters=given, detail="DETAIL_TRADES"))
    column = {"name": "n", "int_values": {"values": [2, 7]}}
    batch = json_format.ParseDict(
        {
            "snapshot": {"dataset": DATASET},
            "strategy": {"definition": definition},
            "set_count": 2,
            "columns": [column],
            "metrics": ["total_return_ratio"],
        },
        pb.RunBacktestBatchRequest(),
    )
    many = await worker.RunBacktestBatch(batch)

    assert answer.metrics.trade_count > 5
    assert [one.name for one in answer.parameters] == ["n", "kind"]
    assert answer.strategy.definition == run(definition).strategy.definition
    assert [(one.index, one.reason) for one in many.failures] == [(0, "FIELD_INVALID")]
    assert "n > 2" in many.failures[0].message
    assert list(many.columns[0].values) == [answer.metrics.total_return_ratio]


async def test_everything_wrong_with_a_definition_is_told_at_once(
    worker: Stub, data: InMemoryData
) -> None:
    """By the text's field and the character, with what is wrong elsewhere in the request."""
    definition = {
        "parameters": [
            {"name": "fast", "type": "TYPE_INT", "minimum": 1, "maximum": 9},
            {"name": "stop_loss_ratio", "type": "TYPE_DOUBLE", "minimum": 0, "maximum": 1},
            {
                "name": "slow",
                "type": "TYPE_INT",
                "minimum": 1,
                "maximum": 9,
                "default_value": {"double_value": 2},
            },
        ],
        "terms": [{"name": "close", "expression": "1"}],
        "enter_long": "crosses_above(smaa(close, fast), close)",
        "exit_long": "close + 1",
        "stop_loss": "2 * atr(14",
        "requirements": ["fast < close"],
    }
    given = [{"name": "fast", "value": {"int_value": "12"}}]
    request = run(definition, parameters=given, execution={"slippage_bps": -1})
    error = await refusal(worker.RunBacktest(request))
    found = told(error)

    assert set(found) == {
        "parameters[1].name",
        "parameters[2].default_value",
        "terms[0].name",
        "enter_long",
        "exit_long",
        "stop_loss",
        "requirements[0]",
        "execution.slippage_bps",
    }
    assert found["enter_long"].startswith("character 15: ")
    assert "sma" in found["enter_long"]
    assert found["stop_loss"].startswith("character 11: ")
    assert data.requests == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("(" * 20_000 + "close" + ")" * 20_000 + " > 1", "characters"),
        ("(" * 500 + "close" + ")" * 500 + " > 1", "character "),
        ("not " * 3_000 + "true", "character "),
        ("close > " + " + ".join(["1"] * 4_000), "character "),
        ("close > sma(close, 1000000000)", "character "),
        ("close > sma(close, 1e300)", "character "),
        ('close > on("4h", sma(close, 100000)) * shift(close, 99999999999)', "character "),
        ("close.__class__ > 1", "character 6"),
        ("__import__('os').system('true')", "character 1"),
        ("close[0] > 1", "character 6"),
        ("cl\u043ese > 1", "character 3"),
        ("close\u202e > 1", "character 6"),
        ("close\u00a0> 1", "character 6"),
        ("close > \uff11", "character 9"),
        ("close > 1\0", "character 10"),
        ("lambda: 1", "character "),
        ("close > 1; exit", "character 10"),
        ("x" * 1_000_000, "characters"),
        ("1" * 10_000 + " > close", "character "),
        ("9" * 400 + "e999999999 > close", "character "),
    ],
    ids=range(20),
)
async def test_hostile_texts_are_refused_where_they_go_wrong(
    worker: Stub, data: InMemoryData, text: str, word: str
) -> None:
    """Deep, huge, foreign, disguised: a violation names the character, and the worker goes on."""
    error = await refusal(worker.RunBacktest(run({"enter_long": text}), timeout=10))

    assert word in told(error)["enter_long"]
    assert data.requests == []
    answer = await worker.RunBacktest(run({"enter_long": "close > 1"}))
    assert answer.bar_count == 600


async def test_endless_lists_are_refused_by_their_length(worker: Stub) -> None:
    """A hundred thousand parameters, terms or requirements are counted, not read."""
    definition = strategy_pb2.StrategyDefinition(enter_long="true")
    for _ in range(50_000):
        definition.parameters.add()
        definition.terms.add()
        definition.requirements.append("")
    request = run({})
    request.strategy.definition.CopyFrom(definition)
    error = await refusal(worker.RunBacktest(request, timeout=10))

    assert set(told(error)) == {"parameters", "terms", "requirements"}


@pytest.mark.parametrize(
    ("strategy", "fields"),
    [
        ({}, ["strategy.name"]),
        ({"definition": {}}, ["strategy.definition.enter_long"]),
        (
            {"name": "strategies/macd", "definition": {"enter_long": "true"}},
            ["strategy.name"],
        ),
        (
            {"definition": {"enter_long": "a > 1", "parameters": [{"name": "a"}]}},
            ["strategy.definition.parameters[0].type"],
        ),
    ],
)
async def test_exactly_one_of_name_and_definition_says_what_is_run(
    worker: Stub, strategy: dict[str, Any], fields: list[str]
) -> None:
    """Neither, both, an empty one and one without types are refused."""
    error = await refusal(worker.RunBacktest(run({}, strategy=strategy)))

    assert [item.field for item in error.violations] == fields


async def test_bars_that_cannot_be_made_are_refused(worker: Stub) -> None:
    """Half-hours cannot be made of hours, whether the lookback is given or not."""
    definition = {"enter_long": 'close > on("30m", close)'}
    for snapshot in ({"dataset": DATASET}, {"dataset": DATASET, "lookback_bar_count": 5}):
        error = await refusal(worker.RunBacktest(run(definition, snapshot=snapshot)))
        assert [item.field.partition(".")[0] for item in error.violations] == ["strategy"]


async def test_a_stop_of_the_definition_is_a_stop_to_risk_by(worker: Stub) -> None:
    """Risk per trade needs a stop; the definition's own is one."""
    execution = {"risk_per_trade_ratio": 0.01}
    with_stop = {"enter_long": "true", "stop_loss": "0.02"}
    answer = await worker.RunBacktest(run(with_stop, execution=execution))
    error = await refusal(worker.RunBacktest(run({"enter_long": "true"}, execution=execution)))

    assert not answer.execution.HasField("position_fraction_ratio")
    assert [item.field for item in error.violations] == ["execution.risk_per_trade_ratio"]


async def test_indicators_are_listed_with_how_they_are_written(worker: Stub) -> None:
    """Page by page, in order, each described, with the bars it looks back on."""
    whole = await worker.ListIndicators(pb.ListIndicatorsRequest())
    names, token, pages = [], "", 0
    while pages == 0 or token:
        page = await worker.ListIndicators(pb.ListIndicatorsRequest(page_size=10, page_token=token))
        names += [one.name for one in page.indicators]
        token, pages = page.next_page_token, pages + 1
    found = {one.name: one for one in whole.indicators}

    assert names == sorted(found)
    assert len(found) >= 30
    assert found["rsi"].signature.startswith("rsi(series, period")
    assert all(one.description and one.lookback and not one.plugin for one in found.values())
    error = await refusal(
        worker.ListIndicators(pb.ListIndicatorsRequest(page_size=-1, page_token="?"))
    )
    assert [item.field for item in error.violations] == ["page_size", "page_token"]


async def test_what_the_language_gives_does_not_look_ahead(worker: Stub) -> None:
    """Every signal and distance stays what it is when later bars are taken away."""
    request = json_format.ParseDict(
        {
            "snapshot": {"dataset": DATASET},
            "strategy": {
                "direction": "DIRECTION_BOTH",
                "definition": {
                    "terms": [{"name": "slow", "expression": 'on("4h", rsi(close, 3))'}],
                    "enter_long": "crosses_above(close, ema(close, 5)) and slow < 60",
                    "exit_long": "close < lowest(shift(low, 1), 7)",
                    "enter_short": "close < sma(close, 20)",
                    "stop_loss": "atr(5) / close",
                },
            },
            "cut_count": 7,
        },
        pb.CheckLookAheadRequest(),
    )
    answer = await worker.CheckLookAhead(request)

    assert not answer.differences
    assert (answer.omitted_difference_count, answer.cut_count) == (0, 7)
    assert answer.snapshot.content_digest
    request.cut_count = 1_001
    request.strategy.definition.exit_long = "clos < 1"
    error = await refusal(worker.CheckLookAhead(request))
    assert [item.field for item in error.violations] == [
        "cut_count",
        "strategy.definition.exit_long",
    ]
