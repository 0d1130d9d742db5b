"""The version of everything that decides a number."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

CODE_VERSION: Final = "2"
"""Equal versions give equal bits for equal requests; raised by hand when a result may change."""

_LONGEST: Final = 128
"""Characters others keep of a version."""

_PLUGINS: Final[dict[str, str]] = {}


def name_plugins(versions: Mapping[str, str]) -> None:
    """Make installed plug-ins part of the version, by package."""
    _PLUGINS.update(versions)


def code_version() -> str:
    """Return the version with that of every plug-in: "1+acme-indicators==1.0".

    Where that is longer than 128 characters, a digest stands for the plug-ins.
    """
    plugins = "".join(f"+{name}=={number}" for name, number in sorted(_PLUGINS.items()))
    if len(CODE_VERSION + plugins) > _LONGEST:
        plugins = f"+{len(_PLUGINS)}-plugins-{hashlib.sha256(plugins.encode()).hexdigest()}"
    return CODE_VERSION + plugins
