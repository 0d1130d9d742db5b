"""Study files: what is read, and what is refused with every wrong field named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from assay.optimizer.v1.study_pb2 import StudySpec
from google.protobuf.json_format import MessageToDict

from cli.demo_study import spec as demo_spec
from cli.failures import BadUsageError
from cli.study_file import parse_study, read_study_file

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "studies"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_every_example_is_a_study(file: Path) -> None:
    """The examples are whole: data, strategy, parameters, objectives and a search."""
    study = read_study_file(file)

    assert study.data[0].dataset.startswith("datasets/")
    assert study.strategy.name.startswith("strategies/")
    assert study.parameters
    assert study.objectives
    assert study.WhichOneof("search") is not None
    assert all(item.WhichOneof("domain") for item in study.parameters)


def test_there_are_examples_of_every_search() -> None:
    """So that each can be tried."""
    searches = {read_study_file(file).WhichOneof("search") for file in EXAMPLES.glob("*.yaml")}

    assert searches == {one.name for one in StudySpec.DESCRIPTOR.oneofs_by_name["search"].fields}


def test_the_first_example_is_the_demo() -> None:
    """What `make demo` runs can be run again from a file."""
    example = read_study_file(EXAMPLES / "ma_crossover_tpe.yaml")

    assert example == demo_spec("datasets/bybit.linear.btcusdt.1h")


def test_json_and_yaml_are_the_same_study() -> None:
    """The JSON form of any example reads back as the same message."""
    for file in EXAMPLES.glob("*.yaml"):
        study = read_study_file(file)
        for preserving in (True, False):
            form = MessageToDict(study, preserving_proto_field_name=preserving)
            assert parse_study(json.dumps(form)) == study


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-01-01", 1_704_067_200),
        ("2024-01-01T00:00:00Z", 1_704_067_200),
        ("2024-01-01 06:00:00", 1_704_088_800),
        ("2024-01-01T00:00:00+05:30", 1_704_047_400),
        ('"2024-01-01T00:00:00Z"', 1_704_067_200),
    ],
)
def test_times_may_be_written_as_yaml_knows_them(text: str, seconds: int) -> None:
    """YAML's own dates and times are times in UTC, with or without quotes."""
    study = parse_study(f"data: [{{dataset: datasets/x, window: {{start_time: {text}}}}}]")

    assert study.data[0].window.start_time.seconds == seconds


def test_every_unknown_field_is_named_by_its_path() -> None:
    """One error for all misspelt fields, each with the nearest known one."""
    text = """
    sedd: 1
    parameters:
      - name: a
      - name: b
        int_range: {low: 1, hihg: 2}
    """
    with pytest.raises(BadUsageError) as caught:
        parse_study(text)

    assert caught.value.problems == (
        "sedd: no such field in StudySpec; did you mean seed?",
        "parameters[1].int_range.hihg: no such field in IntRange; did you mean high?",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed: 1\nseed: 2\n", "'seed' stands twice"),
        ("[1, 2]", "one mapping"),
        ("", "one mapping"),
        ("a: b: c", "not YAML: line 1, column 5: mapping values are not allowed here"),
        ("data: [", "not YAML: line 1, column 8: while parsing a flow node"),
        ("seed: 1.5", "seed"),
        ("execution: 3", "execution: must be a mapping"),
        ("seed: {}", "seed"),
        ("seed: []", "seed"),
        ("strategy: [1]", "strategy"),
        ("objectives: [3]", "objectives[0]: must be a mapping"),
        ("parameters: {a: 1}", "parameters: must be a list"),
        ("grid: {}\nrandom: {trial_count: 3}", "search"),
        ("objectives: [{metric: m, direction: UP}]", "direction"),
        ("!!python/object/apply:os.getcwd []", "not YAML"),
        ("data: [{dataset: d, window: {start_time: yesterday}}]", "start_time"),
    ],
)
def test_what_is_no_study_is_refused(text: str, told: str) -> None:
    """Values of another shape are refused, and nothing is guessed."""
    with pytest.raises(BadUsageError) as caught:
        parse_study(text)

    assert told in " ".join([str(caught.value), *caught.value.problems])


def test_an_empty_mapping_is_for_the_service_to_judge() -> None:
    """What is required is the contract's business, not the file reader's."""
    assert parse_study("{}") == StudySpec()
