"""Files that may be replaced while a process runs: certificates, keys, tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

_Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


class WatchedFiles:
    """The contents of some files, read again when one of them has changed.

    Looking costs a few microseconds, so it is done whenever the contents are wanted. What a cluster
    mounts is replaced by moving a link, which shows as another file behind the same name.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read the files.

        Raises:
            OSError: one of them cannot be read.
        """
        self._paths = tuple(paths)
        self._stamp = self._look()
        self._contents = self._read()

    @property
    def contents(self) -> tuple[bytes, ...]:
        """The files' contents when they were last read."""
        return self._contents

    def changed(self) -> bool:
        """Read the files again if they look different; tell whether their contents are.

        Files that cannot be read just now are left as they were.
        """
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return False
            contents = self._read()
        except OSError:
            return False
        self._stamp = stamp
        different = contents != self._contents
        self._contents = contents
        return different

    def _look(self) -> _Stamp:
        stats = [path.stat() for path in self._paths]
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in stats)

    def _read(self) -> tuple[bytes, ...]:
        return tuple(path.read_bytes() for path in self._paths)
