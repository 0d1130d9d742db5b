"""Certificates and tokens to ask a service with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.common.secured_service import Authority, TokenFiles, authority


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """Return the authority that everyone here believes."""
    return authority(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    """Return another authority."""
    return authority(tmp_path / "theirs")


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFiles:
    """Return a folder of tokens: a reader's, a runner's and an administrator's are known."""
    files = TokenFiles(tmp_path)
    files.give(reader="read", runner="run", boss="admin")
    return files
