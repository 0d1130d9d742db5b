"""Dashboards and alerts speak of metrics that the services really have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = REPOSITORY / "deploy" / "observability"
METRIC = re.compile(r"\b(?:assay|process)_[a-z_]+")
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="module")
def exported(watched: Any) -> set[str]:
    """Return every family that any process exports."""
    return {
        family
        for process in watched.system.processes()
        for family in watched.scrape(process).families
    }


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    found: dict[str, Any] = json.loads(
        (FOLDER / "grafana" / "dashboards" / "assay.json").read_text()
    )
    return found


def queries() -> list[str]:
    """Return all queries of the dashboard."""
    return [
        target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())
    ]


def rules() -> list[dict[str, Any]]:
    """Return all alerts."""
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def families_of(expression: str) -> set[str]:
    """Return the metric families that a query needs."""
    names = set(METRIC.findall(expression))
    suffix = re.compile("|".join(f"{part}$" for part in HISTOGRAM_PARTS))
    return {suffix.sub("", name) if "_duration_seconds" in name else name for name in names}


def test_every_metric_of_the_dashboard_is_exported(exported: set[str]) -> None:
    """No panel stays empty for a name that nobody writes."""
    wanted = {name for query in queries() for name in families_of(query)}

    assert wanted - exported == set()


def test_every_metric_of_an_alert_is_exported(exported: set[str]) -> None:
    """No alert stays silent for a name that nobody writes."""
    wanted = {name for rule in rules() for name in families_of(rule["expr"])}

    assert wanted - exported == set()


def test_every_metric_is_shown(exported: set[str]) -> None:
    """What the services measure has a place on the dashboard."""
    shown = {name for query in queries() for name in families_of(query)}

    assert {name for name in exported if name.startswith("assay_")} - shown == set()


def test_labels_of_queries_have_values_that_occur(watched: Any) -> None:
    """A label's value in a query is one that the services write: a misspelt one finds nothing."""
    text = "".join(watched.scrape(process).text for process in watched.system.processes())
    selected = {
        pair
        for expression in [*queries(), *(rule["expr"] for rule in rules())]
        for pair in re.findall(r'(state|kind|operation|outcome)="([a-z_]+)"', expression)
    }

    assert selected
    assert [pair for pair in selected if f'{pair[0]}="{pair[1]}"' not in text] == []


def test_panels_and_alerts_are_whole() -> None:
    """Panels have ids and places of their own; alerts have names, summaries and severities."""
    panels = dashboard()["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(places)) == len(places)
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_prometheus_finds_every_service_and_its_rules() -> None:
    """The configuration names the services of the compose file, and alerts that are there."""
    settings = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    names = settings["scrape_configs"][0]["dns_sd_configs"][0]["names"]

    assert set(names) == {"data", "backtest", "optimizer"} <= set(compose)
    assert [(FOLDER / name).is_file() for name in settings["rule_files"]] == [True]
