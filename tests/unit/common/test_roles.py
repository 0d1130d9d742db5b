"""Roles: every RPC of the contracts has the one it should, and tokens files are read strictly."""

from __future__ import annotations

import pytest
from assay.backtest.v1 import backtest_service_pb2
from assay.data.v1 import data_service_pb2
from assay.optimizer.v1 import optimizer_service_pb2

from services.common.security.roles import (
    Role,
    TokensInvalidError,
    digest_of,
    new_token,
    read_tokens,
    role_needed,
)

READING = {
    "ListInstruments",
    "ListDatasets",
    "GetDataset",
    "ReadCandles",
    "ReadFunding",
    "ListStrategies",
    "ListIndicators",
    "CheckLookAhead",
    "GetWorkerStatus",
    "GetServiceStatus",
    "GetReplicaStatus",
    "GetStudy",
    "ListStudies",
    "WatchStudy",
    "ListTrials",
    "ListBestTrials",
    "ExportTrials",
    "ListLedgerEntries",
    "GetStudyReport",
}
DELETING = {"DeleteDataset", "DeleteStudy"}


def test_every_rpc_has_the_role_it_should() -> None:
    """What only looks is for readers, what deletes for administrators, the rest for runners."""
    for module in (data_service_pb2, backtest_service_pb2, optimizer_service_pb2):
        (service,) = module.DESCRIPTOR.services_by_name.values()
        for method in service.methods:
            wanted = (
                Role.READ
                if method.name in READING
                else Role.ADMIN
                if method.name in DELETING
                else Role.RUN
            )
            assert role_needed(f"/{service.full_name}/{method.name}") is wanted, method.name


def test_a_new_token_is_known_by_its_line() -> None:
    """And by nothing but it."""
    first, second = new_token(), new_token()
    tokens = read_tokens(f"# who calls\nnightly run {digest_of(first)}  # the job\n")

    caller = tokens.caller(first)
    assert caller is not None
    assert (caller.name, caller.role) == ("nightly", Role.RUN)
    assert tokens.caller(second) is None
    assert tokens.caller("") is None


def test_every_wrong_line_is_named_and_no_digest_told() -> None:
    """A half-read file would lock some callers out and tell nobody."""
    digest = digest_of("x")
    text = f"a king {digest}\nb read\nc run {digest.upper()}\nd run {digest}\n"
    text += f"{'e' * 256} run {digest}\n{'f' * 255} run {digest}\n"

    with pytest.raises(TokensInvalidError) as raised:
        read_tokens(text)

    message = str(raised.value)
    assert [f"line {number}" in message for number in range(1, 7)] == [
        *(True, True, True, False),
        *(True, False),
    ]
    assert digest not in message


def test_a_file_without_tokens_is_a_mistake() -> None:
    """It would lock everyone out."""
    with pytest.raises(TokensInvalidError, match="no token"):
        read_tokens("# nobody yet\n")
