"""The compose file and the images' recipe agree with the services."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.backtest.settings import BacktestSettings
from services.common.settings import KNOWN_NAMES, ServiceSettings
from services.data.settings import DataSettings
from services.optimizer.settings import OptimizerSettings

SETTINGS: dict[str, type[ServiceSettings]] = {
    "data": DataSettings,
    "backtest": BacktestSettings,
    "optimizer": OptimizerSettings,
}
SERVICES = tuple(SETTINGS)


@pytest.fixture(scope="module")
def composed(root: Path) -> dict[str, Any]:
    """Return the services of the compose file."""
    services: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    return services


@pytest.fixture(scope="module")
def recipe(root: Path) -> str:
    """Return the text of the Dockerfile."""
    return (root / "Dockerfile").read_text()


def test_the_system_is_complete(composed: dict[str, Any]) -> None:
    """Three services, the study store and the cache; the rest is brought by profiles."""
    always = {name for name, service in composed.items() if "profiles" not in service}
    extra = {name: service["profiles"] for name, service in composed.items() if name not in always}

    assert always == {*SERVICES, "postgres", "redis"}
    assert extra == {
        "demo": ["demo"],
        "dashboard": ["dashboard"],
        "prometheus": ["observe"],
        "grafana": ["observe"],
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_only_settings_it_reads(composed: dict[str, Any], service: str) -> None:
    """A setting that does nothing would mislead whoever changes it."""
    wanted = {f"ASSAY_{field.name.upper()}" for field in fields(SETTINGS[service])}

    assert set(composed[service]["environment"]) <= wanted


def test_images_set_only_known_names(recipe: str) -> None:
    """A service refuses a setting outside the vocabulary; none of an image's is."""
    assert set(re.findall(r"\b(ASSAY_\w+)=", recipe)) <= KNOWN_NAMES


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_after_what_it_needs_is_healthy(
    composed: dict[str, Any], service: str
) -> None:
    """Every start waits for health, never for a mere container."""
    conditions = [need["condition"] for need in composed[service]["depends_on"].values()]

    assert conditions
    assert set(conditions) == {"service_healthy"}


def test_nothing_is_published_beyond_this_machine(composed: dict[str, Any]) -> None:
    """The system has no passwords to speak of, so only loopback reaches it."""
    ports = [port for service in composed.values() for port in service.get("ports", [])]

    assert len(ports) == len(SERVICES) + len(("dashboard", "prometheus", "grafana"))
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_one_recipe_makes_every_image(root: Path, composed: dict[str, Any], recipe: str) -> None:
    """Each image is made by the same file, for a service that exists."""
    for service in SERVICES:
        assert composed[service]["build"]["args"] == {"SERVICE": service}
        assert f"AS {service}\n" in recipe
        assert re.search(rf"^ENTRYPOINT .*python.*-m.*services\.{service}", recipe, re.MULTILINE)
        assert (root / "services" / service / "__main__.py").is_file()


def test_images_run_without_privileges(composed: dict[str, Any], recipe: str) -> None:
    """A service is an ordinary user without capabilities, and its image cannot be written to."""
    assert re.findall(r"^USER (\S+)", recipe, re.MULTILINE) == ["10001:10001"]
    assert "--uid 10001" in recipe
    for name in set(composed) - {"postgres", "redis"}:
        assert composed[name]["cap_drop"] == ["ALL"], name
        assert composed[name]["read_only"] is True, name
        assert composed[name]["security_opt"] == ["no-new-privileges:true"], name


def test_a_password_is_never_written_down(root: Path, composed: dict[str, Any]) -> None:
    """They come by the environment, for which there is an example."""
    text = (root / "docker-compose.yml").read_text()
    example = (root / ".env.example").read_text()
    wanted = set(re.findall(r"\$\{([A-Z_]+)", text))

    assert wanted == set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    assert all(
        "${" in value
        for service in composed.values()
        for name, value in service.get("environment", {}).items()
        if "PASSWORD" in name
    )


def test_images_can_be_built_without_a_foreign_front_end(recipe: str) -> None:
    """No digest of one registry and no directive that makes the builder download another."""
    assert "# syntax=" not in recipe
    assert "@sha256:" not in recipe
