"""Equal operations are one; what nobody needs is not kept."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.backtest.expression.vocabulary import DEFINITION, program, program_of


def test_equal_operations_are_one_node_over_all_texts() -> None:
    """The first place it was written at is kept."""
    compiled = program_of(
        replace(
            DEFINITION,
            terms=(("mean", "sma(close, fast)"),),
            enter_long="close > mean",
            exit_long="not (close > sma(close, fast))",
            enter_short="close > mean",
        )
    )
    assert [(one.operation, one.field, one.position) for one in compiled.nodes] == [
        ("column", "terms[0].expression", 4),
        ("parameter", "terms[0].expression", 11),
        ("sma", "terms[0].expression", 0),
        ("greater", "enter_long", 0),
        ("not", "exit_long", 0),
    ]
    assert dict(compiled.signals) == {"enter_long": 3, "exit_long": 4, "enter_short": 3}


def test_numbers_of_different_kinds_are_different_nodes() -> None:
    """1, 1.0 and true are equal to Python only."""
    compiled = program("close > 1 and close > 1.0 and true")
    constants = [one.value for one in compiled.nodes if one.operation == "constant"]
    assert [repr(one) for one in constants] == ["1", "1.0", "True"]


def test_choices_written_in_another_order_are_equal() -> None:
    """Branches stand in the order of the categories."""
    compiled = program(
        "choose(kind, plain = 1, quick = 2) > choose(kind, quick = 2, plain = 1)",
    )
    assert sum(one.operation == "choose" for one in compiled.nodes) == 1


def test_a_term_nobody_uses_leaves_nothing() -> None:
    """It is checked all the same."""
    compiled = program("close > 1", ("unused", "rsi(close, 14)"))
    assert [one.operation for one in compiled.nodes] == ["column", "constant", "greater"]


def test_a_program_tells_what_was_given() -> None:
    """Signals, distances and requirements, by name and in order; nothing for what is not given."""
    compiled = program_of(
        replace(
            DEFINITION,
            enter_long="",
            enter_short="close > 1",
            take_profit="level",
            position_fraction="0.5",
            requirements=("fast < slow", "level > 0"),
        )
    )
    assert list(compiled.signals) == ["enter_short"]
    assert list(compiled.distances) == ["take_profit", "position_fraction"]
    assert [one.text for one in compiled.requirements] == ["fast < slow", "level > 0"]
    for requirement in compiled.requirements:
        assert compiled.nodes[requirement.place].static
