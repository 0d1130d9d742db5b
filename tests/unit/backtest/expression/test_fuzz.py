"""Whatever is written: a program, or problems that point into the text. Nothing else."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core.expression.program import Kind, Program
from services.backtest.core.expression.resolution import resolve
from tests.unit.backtest.expression.vocabulary import DEFINITION, problems_of, program_of

GOOD = [
    "crosses_above(sma(close, fast), ema(close, slow * 2 + 1))",
    'on("4h", close > band(close, period = fast, width = 2.5)) and not hour < 8',
    "choose(kind, plain = close > 1, quick = rsi(close, 14) >= level or first_decision)",
    "if_else(fast < slow, -close / 3, max(1, 2, atr(5))) != shift(highest(high, 9), 1)",
    "((close - open) * 1.5e3 == abs(sqrt(volume)))",
]
TOKENS = [
    *"+-*/()<>,=!.'\"",
    *("<=", ">=", "==", "!=", "and", "or", "not", "true", "false", "close", "hour", "fast"),
    *("level", "kind", "plain", "quick", "sma", "band", "atr", "on", '"4h"', "choose", "if_else"),
    *("min", "abs", "sqrt", "crosses_above", "first_decision", "period", "1", "0", "2.5", "1e9"),
    *("zzz", "é", "\0", "1e999", "term"),
]

texts = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")),
    st.lists(st.sampled_from(TOKENS), max_size=40).map(" ".join),
    st.lists(st.sampled_from(TOKENS), max_size=40).map("".join),
)


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A good text with pieces cut out, put in, doubled."""
    text = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 8)))
        piece = draw(st.one_of(st.sampled_from(TOKENS), st.just(text[start:end] * 2), st.just("")))
        text = text[:start] + piece + text[end:]
    return text


def is_sound(program: Program) -> None:
    """Check what every program promises."""
    for place, node in enumerate(program.nodes):
        assert all(below < place for below in (*node.inputs, *node.statics))
        assert all(program.nodes[below].static for below in node.statics)
        assert node.static or node.kind not in {Kind.WHOLE, Kind.WORD}
    keys = {
        (one.operation, one.inputs, one.statics, type(one.value), one.value, one.kind)
        for one in program.nodes
    }
    assert len(keys) == len(program.nodes)
    signals = [program.nodes[place].kind for place in program.signals.values()]
    assert set(signals) <= {Kind.CONDITION}


def read(text: str, term: str) -> None:
    """Read a text as a condition and another as a term, and check what comes."""
    definition = replace(DEFINITION, terms=(("term", term),), enter_short=text, enter_long="true")
    problems = problems_of(definition)
    written = {"enter_short": text, "terms[0].expression": term}
    for problem in problems:
        assert problem.position is None or 0 <= problem.position <= len(written[problem.field])
        assert problem.message.isascii()
    if not problems:
        program = program_of(definition)
        is_sound(program)
        resolved = resolve(program, {"kind": "quick"})
        is_sound(resolved)
        assert not any(node.operation == "choose" for node in resolved.nodes)


def test_the_good_texts_are_good() -> None:
    """Mutations start from programs."""
    for text in GOOD:
        assert not problems_of(replace(DEFINITION, enter_long=text))
        read(text, text)


@settings(max_examples=400, deadline=None)
@given(texts, texts)
def test_any_text_is_read_or_refused(text: str, term: str) -> None:
    """Characters, bytes and tokens in any order."""
    read(text, term)


@settings(max_examples=400, deadline=None)
@given(mutations(), mutations())
def test_any_change_of_a_good_text_is_read_or_refused(text: str, term: str) -> None:
    """Near misses go deeper than noise."""
    read(text, term)


numbers = st.recursive(
    st.sampled_from(["close", "hour", "1", "2.5", "fast", "level", "term"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("-{}".format, inner),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner),
        st.builds("sma({}, {})".format, inner, st.sampled_from(["fast", "3", "slow + 1"])),
        st.builds("choose(kind, plain = {}, quick = {})".format, inner, inner),
        st.builds("if_else({} < {}, {}, {})".format, inner, inner, inner, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(numbers, numbers)
def test_texts_made_by_the_grammar_are_programs(left: str, right: str) -> None:
    """What is well formed and well typed is never refused, and sound."""
    terms = (("term", "volume / 2"),)
    definition = replace(DEFINITION, terms=terms, enter_long=f"{left} > {right}")
    is_sound(program_of(definition))
