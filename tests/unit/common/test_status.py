"""Errors fit into the headers they travel in, whatever stands in them."""

from __future__ import annotations

from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.common.errors import AssayError, Code, Violation, fields_invalid
from services.common.status import to_status

HEADER_LIMIT = 8_192


def violations_of(status: status_pb2.Status) -> list[tuple[str, str]]:
    """Read a status as its receiver does."""
    found = error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(found)
    return [(item.field, item.description) for item in found.field_violations]


def sent_bytes(error: AssayError) -> int:
    """Return the bytes of the headers, every character of the message escaped at worst."""
    status = to_status(error, "data.assay")
    details = rpc_status.to_status(status).trailing_metadata[0][1]
    return len(status.message.encode()) * 3 + len(details) * 4 // 3


def test_an_error_of_usual_size_is_told_whole() -> None:
    """Twenty violations of a line each are twenty violations."""
    given = [Violation(f"spec.parameters[{n}].low", "is not below high " * 3) for n in range(20)]
    status = to_status(fields_invalid(given), "data.assay")

    assert violations_of(status) == [(item.field, item.description) for item in given]


def test_violations_that_do_not_fit_are_counted() -> None:
    """As many as fit are told; the last one says how many more there are."""
    given = [Violation(f"accept[{n}]", "is nothing that can be accepted") for n in range(5_000)]
    told = violations_of(to_status(fields_invalid(given), "data.assay"))

    assert 20 < len(told) < 5_000
    assert told[:-1] == [(item.field, item.description) for item in given[: len(told) - 1]]
    assert told[-1] == ("", f"and {5_000 - (len(told) - 1):,} more")


def test_no_error_outgrows_its_headers() -> None:
    """Long names, long texts and other scripts are cut before a client drops the whole answer."""
    for text in ("x" * 10_000, "\N{EURO SIGN}" * 5_000, "%" * 5_000):
        unknown = AssayError(Code.NOT_FOUND, "UNKNOWN", text, metadata={"name": text, "near": text})
        wrong = fields_invalid([Violation(text, text)] * 50)
        assert sent_bytes(unknown) < HEADER_LIMIT
        assert sent_bytes(wrong) < HEADER_LIMIT
