"""Requests for lists and files of trials and for the ledger, read and checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import Violation, refuse
from services.optimizer.convert.requests import Page, name_violations, page_of
from services.optimizer.convert.spec_checks import DATASET, STRATEGY
from services.optimizer.convert.values import METRIC_NAMES
from services.optimizer.core.analysis.trial_export import ExportFormat
from services.optimizer.core.analysis.trial_order import TrialOrder, read_order
from services.optimizer.core.trial import TrialState

_DEFINITION: Final = re.compile(r"definitions/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TrialList:
    """Which trials are wanted.

    Attributes:
        page: The part of the list.
        order: Their order.
        state: Only those in this state; None: all.
    """

    page: Page
    order: TrialOrder
    state: TrialState | None


def read_trial_list(request: pb.ListTrialsRequest) -> TrialList:
    """Return what a request for trials wants.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID.
    """
    page, violations = page_of(
        request.page_size,
        request.page_token,
        100,
        "ListTrials",
        request.parent,
        request.order_by,
        request.state,
    )
    violations += name_violations("parent", request.parent)
    order = TrialOrder()
    try:
        order = read_order(request.order_by, METRIC_NAMES)
    except ValueError as error:
        violations.append(Violation("order_by", str(error)))
    if request.state not in study_pb2.Trial.State.values():
        violations.append(Violation("state", f"{request.state} is not one of the choices"))
    refuse(violations)
    return TrialList(page, order, TrialState(request.state) if request.state else None)


def export_format_of(request: pb.ExportTrialsRequest) -> ExportFormat:
    """Return what file a request wants.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID.
    """
    violations = list(name_violations("parent", request.parent))
    if request.format not in pb.ExportTrialsRequest.Format.values():
        violations.append(Violation("format", f"{request.format} is not one of the choices"))
    refuse(violations)
    return ExportFormat(request.format or pb.ExportTrialsRequest.FORMAT_CSV)


def ledger_filter_violations(request: pb.ListLedgerEntriesRequest) -> Iterator[Violation]:
    """Yield what is wrong with the filters of a request for the ledger."""
    if request.dataset and not DATASET.fullmatch(request.dataset):
        told = f'must have the form "datasets/{{dataset}}", but is {request.dataset[:200]!r}'
        yield Violation("dataset", told)
    strategy = request.strategy
    if strategy and not (STRATEGY.fullmatch(strategy) or _DEFINITION.fullmatch(strategy)):
        told = 'must have the form "strategies/{strategy}" or "definitions/{sha256}", but is '
        yield Violation("strategy", f"{told}{strategy[:200]!r}")
