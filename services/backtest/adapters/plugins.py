"""Plug-ins installed beside this service, found by their entry points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from services.backtest.core.plugins import Definition, Operation
from services.backtest.core.plugins.installation import PlugIn, PlugInInvalid, install

GROUP: Final = "assay.indicators"


def install_plugins() -> tuple[PlugIn, ...]:
    """Import and install every plug-in of the environment; returns them.

    Raises:
        PlugInInvalid: One cannot be imported or breaks a rule.
    """
    found = sorted(entry_points(group=GROUP), key=lambda point: (_package(point)[0], point.name))
    plugins = tuple(_loaded(point) for point in found)
    install(plugins)
    return plugins


def _loaded(point: EntryPoint) -> PlugIn:
    package, version = _package(point)
    try:
        parts = list(_parts(point.load()))
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise PlugInInvalid(package, version, point.name, f"cannot be loaded: {told}") from error
    return PlugIn(
        package,
        version,
        point.name,
        tuple(part for part in parts if isinstance(part, Operation)),
        tuple(part for part in parts if isinstance(part, Definition)),
    )


def _package(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("", "")


def _parts(given: object) -> Iterator[Operation | Definition]:
    """Yield what an entry point's object holds, however deep."""
    if isinstance(given, (Operation, Definition)):
        yield given
    elif isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
        for part in given:
            yield from _parts(part)
    elif callable(given):
        yield from _parts(given())
    else:
        raise TypeError(f"{given!r} is no Operation, no Definition and no iterable of them")
