"""Plug-ins found in the environment of a worker by their entry points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest

from services.backtest.adapters import plugins
from services.backtest.core.plugins.installation import PlugIn, PlugInInvalid

DEFINITION = "Definition('own', enter_long='close > 1')"
Package = Callable[..., None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Return a function that writes an installed package: `package(name, text, entry="all")`."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str, entry: str = "all") -> None:
        told = tmp_path / f"{name}-1.0.dist-info"
        told.mkdir()
        imported = "from services.backtest.core.plugins import *\n"
        (tmp_path / f"{name}.py").write_text(imported + text)
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = f"[{plugins.GROUP}]\n{entry} = {name}:PLUGINS\n"
        (told / "entry_points.txt").write_text(points)

    return write


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[PlugIn]:
    """Return the list of what is handed over to the core."""
    found: list[PlugIn] = []
    monkeypatch.setattr(plugins, "install", found.extend)
    return found


@pytest.mark.parametrize(
    "text",
    [
        f"PLUGINS = {DEFINITION}",
        f"PLUGINS = [({DEFINITION},)]",
        f"def PLUGINS():\n    yield {DEFINITION}",
        f"PLUGINS = lambda: {DEFINITION}",
    ],
)
def test_an_entry_point_is_a_part_many_parts_or_what_returns_them(
    package: Package, installed: list[PlugIn], text: str
) -> None:
    """All ways of writing it bring the same."""
    name = f"written_{crc32(text.encode())}"
    package(name, text)

    assert plugins.install_plugins() == tuple(installed)

    (found,) = installed
    assert (found.package, found.version, found.entry_point) == (name, "1.0", "all")
    assert [definition.name for definition in found.definitions] == ["own"]
    assert found.operations == ()


def test_packages_come_in_the_order_of_their_names(
    package: Package, installed: list[PlugIn]
) -> None:
    """However the environment lists them, so that the first refusal is always the same."""
    for name in ("second_plugin", "first_plugin"):
        package(name, f"PLUGINS = {DEFINITION}")

    plugins.install_plugins()

    assert [found.package for found in installed] == ["first_plugin", "second_plugin"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("PLUGINS = 7", "TypeError: 7 is no Operation"),
        ("PLUGINS = 'rsi'", "TypeError: 'rsi' is no Operation"),
        ("OTHER = 7", "AttributeError"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(
    package: Package, installed: list[PlugIn], text: str, told: str
) -> None:
    """The line names package, version and entry point."""
    name = f"broken_{crc32(text.encode())}"
    package(name, text, entry="main")

    with pytest.raises(PlugInInvalid) as refused:
        plugins.install_plugins()

    message = str(refused.value)
    assert message.startswith(f'plug-in {name} 1.0, entry point "main": cannot be loaded: {told}')
    assert "\n" not in message
    assert installed == []
