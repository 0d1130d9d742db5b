"""The version of everything that decides a number."""

from __future__ import annotations

from typing import Final

CODE_VERSION: Final = "1"
"""Equal versions give equal bits for equal requests; raised by hand when a result may change."""
