"""Study files: the YAML or JSON form of StudySpec, and nothing else."""

from __future__ import annotations

from pathlib import Path

from assay.optimizer.v1.study_pb2 import StudySpec

from cli.message_file import parse, read_file


def read_study_file(file: Path) -> StudySpec:
    """Read a study file; BadUsageError as `message_file.read_file`."""
    return read_file(file, StudySpec(), "study file")


def parse_study(text: str) -> StudySpec:
    """Read the text of a study file; BadUsageError as `message_file.parse`."""
    return parse(text, StudySpec())
