"""The locks pin what the project asks for, by hash, and say nothing about where it comes from."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from services.common import VERSION

SERVICES = ("data", "backtest", "optimizer", "cli")
IMAGES = (*SERVICES, "dashboard")
LOCKS = ("requirements.lock", *(f"deploy/locks/{image}.lock" for image in IMAGES))
NEVER_RELEASED = {"opentelemetry-exporter-otlp-common", "opentelemetry-semantic-conventions"}
"""Packages that have had nothing but betas; releases of others need them as they are."""

Pins = dict[str, set[str]]


def _pins(lock: Path) -> Pins:
    pins: Pins = defaultdict(set)
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE):
        pins[canonicalize_name(name)].add(version)
    return pins


@pytest.fixture(scope="module")
def wishes(root: Path) -> dict[str, list[Requirement]]:
    """Return what pyproject.toml asks for: the group "" is what everything needs."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {name: [Requirement(line) for line in lines] for name, lines in groups.items()}


def _unmet(wishes: list[Requirement], pins: Pins) -> list[str]:
    return [
        str(wish)
        for wish in wishes
        if not any(
            wish.specifier.contains(version)
            for version in pins.get(canonicalize_name(wish.name), set())
        )
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place(root: Path, name: str) -> None:
    """Where packages come from is the reader's business: no URL, host or index."""
    text = (root / name).read_text()

    assert re.findall(r"://|@ ?file|\w+\.(?:org|com|io|net)\b", text) == []
    assert re.findall(r"^-.*", text, re.MULTILINE) == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash(root: Path, name: str) -> None:
    """Nothing can be slipped in between the lock and the installation."""
    blocks = re.split(r"\n(?=\w)", (root / name).read_text())
    pins = [block for block in blocks if not block.startswith("#")]

    assert len(pins) >= 10
    assert [pin for pin in pins if not re.match(r"[\w.-]+==\S+.*\\\n +--hash=sha256:", pin)] == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_a_release(root: Path, name: str) -> None:
    """No version is for trials or of somebody's own making, and every hash is a whole SHA-256."""
    hashes = re.findall(r"--hash=(\S+)", (root / name).read_text())
    versions = {
        package: {Version(version) for version in pinned}
        for package, pinned in _pins(root / name).items()
        if package not in NEVER_RELEASED
    }

    assert {
        package: each
        for package, each in versions.items()
        if any(one.is_prerelease or one.local is not None for one in each)
    } == {}
    assert [one for one in hashes if not re.fullmatch(r"sha256:[0-9a-f]{64}", one)] == []


def test_the_dashboard_shares_the_versions_that_were_tested(root: Path) -> None:
    """It reads the optimizer's database: what both need is the same in both."""
    pins = _pins(root / "deploy/locks/dashboard.lock")
    tested = _pins(root / "requirements.lock")
    shared = {name for name in pins if name in tested}

    assert {"optuna", "sqlalchemy", "psycopg"} <= shared
    assert {name: pins[name] - tested[name] for name in shared} == {name: set() for name in shared}


def test_the_lock_meets_every_wish(root: Path, wishes: dict[str, list[Requirement]]) -> None:
    """A dependency that pyproject.toml asks for is pinned at a version it accepts."""
    pins = _pins(root / "requirements.lock")

    assert _unmet([wish for group in wishes.values() for wish in group], pins) == []


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_what_its_service_needs_as_tested(
    root: Path, wishes: dict[str, list[Requirement]], service: str
) -> None:
    """Images run the very versions that the tests ran with."""
    pins = _pins(root / f"deploy/locks/{service}.lock")
    tested = _pins(root / "requirements.lock")

    assert _unmet(wishes[""] + wishes[service], pins) == []
    assert {name: versions - tested.get(name, set()) for name, versions in pins.items()} == {
        name: set() for name in pins
    }


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_nothing_of_the_other_services(
    root: Path, wishes: dict[str, list[Requirement]], service: str
) -> None:
    """A worker has no database driver, and no service has the tools of development."""
    own = {canonicalize_name(wish.name) for wish in wishes[""] + wishes[service]}
    others = {
        canonicalize_name(wish.name)
        for group in {*wishes} - {"", service, "cli"}
        for wish in wishes[group]
    }

    assert (others - own) & set(_pins(root / f"deploy/locks/{service}.lock")) == set()


def test_services_tell_the_version_of_the_project(root: Path) -> None:
    """Images hold no package metadata, so the number stands in the code as well."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION
