"""Figures as every benchmark prints them."""

from __future__ import annotations

import json
from collections.abc import Mapping


def print_figures(figures: Mapping[str, float | str | None], *, as_json: bool) -> None:
    """Print one flat JSON object, or a line for each figure; a dash for what is not known."""
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        told = "-" if value is None else value if isinstance(value, str) else f"{value:.6g}"
        print(f"{name:48} {told}")
