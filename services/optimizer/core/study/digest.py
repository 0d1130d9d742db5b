"""The digest of a study's trials: equal digests mean equal trials, bit for bit.

SHA-256, in lower-case hexadecimal, over the trials by rising number. Each trial contributes, in
this order and with nothing between:

    number           8 bytes, unsigned, little-endian
    state            1 byte: the number of Trial.State (1 complete, 2 failed, 3 pruned)
    infeasible       1 byte: 1 where `feasible` is false, else 0
    parameter count  4 bytes, unsigned, little-endian
    parameters       in the order of Trial.parameters, each: text(name), then
                     "i" and 8 bytes, signed, little-endian, for a whole number;
                     "d" and 8 bytes IEEE 754, little-endian, for a number;
                     "c" and text(word) for a word
    metric count     4 bytes, unsigned, little-endian: defined and undefined ones
    metrics          by their names as UTF-8 bytes, each: text(name), then
                     "v" and 8 bytes IEEE 754, little-endian, for a value (whole numbers too);
                     "u" and 4 bytes, unsigned, little-endian: the number of UndefinedReason
    datasets         only with several data, for each of them in order: infeasible, metric count and
                     metrics as above, of its DatasetResult

where text(t) is the length of t in UTF-8 as 4 bytes, unsigned, little-endian, then its UTF-8 bytes.
Times, generations and texts for people are not part of it.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Iterable, Iterator

from services.optimizer.core.trial import DatasetResult, Outcome, Trial, Value


class TrialsDigest:
    """The digest of trials added by rising number."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def copy(self) -> TrialsDigest:
        """Return a digest that goes its own way from here."""
        other = TrialsDigest()
        other._hash = self._hash.copy()
        return other

    def add(self, trial: Trial) -> None:
        """Add the next trial."""
        self._hash.update(canonical_bytes(trial))

    def hexdigest(self) -> str:
        """Return the digest of the trials added so far."""
        return self._hash.hexdigest()


def trials_digest(trials: Iterable[Trial]) -> str:
    """Return the digest of trials given by rising number."""
    digest = TrialsDigest()
    for trial in trials:
        digest.add(trial)
    return digest.hexdigest()


def canonical_bytes(trial: Trial) -> bytes:
    """Return what one trial contributes."""
    parts = [
        struct.pack(
            "<QBBI",
            trial.number,
            trial.state.value,
            0 if trial.feasible else 1,
            len(trial.parameters),
        )
    ]
    for name, value in trial.parameters.items():
        parts += [_text(name), value_bytes(value)]
    parts += _metric_parts(trial.outcome)
    for result in trial.outcome.dataset_results:
        parts += [b"\0" if result.feasible else b"\1", *_metric_parts(result)]
    return b"".join(parts)


def _metric_parts(told: Outcome | DatasetResult) -> Iterator[bytes]:
    names = _in_order((*told.metrics, *told.undefined))
    yield struct.pack("<I", len(names))
    for name, text in names:
        if name in told.metrics:
            yield from (text, b"v", struct.pack("<d", told.metrics[name]))
        else:
            yield from (text, b"u", struct.pack("<I", told.undefined[name]))


@functools.lru_cache(maxsize=256)
def _in_order(names: tuple[str, ...]) -> tuple[tuple[str, bytes], ...]:
    """Return metric names with their bytes, in order; trials of a study have mostly the same."""
    return tuple((name, _text(name)) for name in sorted(names, key=lambda text: text.encode()))


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded


def value_bytes(value: Value) -> bytes:
    """Return a parameter's value with its type, every bit of it."""
    if isinstance(value, str):
        return b"c" + _text(value)
    if isinstance(value, int):
        return b"i" + struct.pack("<q", value)
    return b"d" + struct.pack("<d", value)
