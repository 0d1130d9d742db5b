"""The manifests are what today's Kubernetes takes, and keep the promises of docs/deployment.md."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from services.common.settings import KNOWN_NAMES

OVERLAYS = (
    "overlays/local",
    "overlays/production",
    "overlays/production-monitored",
    "overlays/production-queue-scaled",
    "batch/studies",
    "batch/nightly",
)
SERVICES = ("data", "backtest", "optimizer")
FOREIGN_KINDS = {"ServiceMonitor": "monitoring.coreos.com/v1", "ScaledObject": "keda.sh/v1alpha1"}
"""Kinds that operators bring; Kubernetes has no schema of them."""

Manifest = dict[str, Any]


def _documents(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


def _is_whole(document: Any) -> bool:
    """Tell manifests from patches and from kustomize's own files."""
    if not isinstance(document, dict) or "kind" not in document or "$patch" in document:
        return False
    return document["kind"] not in {"Kustomization", "Component"}


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    """Return where the manifests are."""
    return root / "deploy/kubernetes"


@pytest.fixture(scope="module")
def written(folder: Path) -> list[tuple[str, Manifest]]:
    """Return every whole manifest as it is written, with its file's name."""
    patches = {"overlays/production/data.yaml", "overlays/production/optimizer.yaml"}
    found = [
        (path.relative_to(folder).as_posix(), document)
        for path in sorted(folder.rglob("*.yaml"))
        if path.relative_to(folder).as_posix() not in patches
        for document in _documents(path.read_text())
        if _is_whole(document)
    ]
    assert len(found) > 20
    return found


@pytest.fixture(scope="module")
def rendered(folder: Path) -> dict[str, list[Manifest]]:
    """Return what kustomize makes of each overlay."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on this machine")
    return {
        name: _documents(
            subprocess.run(
                [kubectl, "kustomize", str(folder / name)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for name in OVERLAYS
    }


def _problem(document: Manifest) -> str | None:
    kind, version = document["kind"], document["apiVersion"]
    if FOREIGN_KINDS.get(kind) == version:
        return None
    try:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return f"{kind} {document['metadata']['name']}: {error}"
    return None


def _pods(documents: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yield every workload's name and the spec of its pods."""
    for document in documents:
        name = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] == "Pod":
            yield name, document["spec"]
        elif document["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield name, document["spec"]["template"]["spec"]
        elif document["kind"] == "CronJob":
            yield name, document["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def _containers(documents: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for name, pod in _pods(documents):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"{name}/{container['name']}", container


def _of(documents: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [one for one in documents if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def _selected(document: Manifest) -> dict[str, str]:
    """Return the labels by which a manifest chooses pods; empty where it chooses by none."""
    spec = document.get("spec", {})
    selectors: dict[str, dict[str, dict[str, str]]] = {
        "Service": {"matchLabels": spec.get("selector", {})},
        "PodDisruptionBudget": spec.get("selector", {}),
        "NetworkPolicy": spec.get("podSelector", {}),
    }
    return selectors.get(document["kind"], {}).get("matchLabels", {})


def test_every_manifest_fits_the_schema_of_today(written: list[tuple[str, Manifest]]) -> None:
    """No unknown field, no wrong type, no kind that Kubernetes has forgotten."""
    assert [problem for _, document in written if (problem := _problem(document))] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_an_overlay_makes_fits_the_schema(
    rendered: dict[str, list[Manifest]], name: str
) -> None:
    """Patches fit what they patch, and the result is valid."""
    assert [problem for document in rendered[name] if (problem := _problem(document))] == []


def test_a_misspelt_field_would_be_noticed(written: list[tuple[str, Manifest]]) -> None:
    """The check can fail."""
    deployment = next(document for _, document in written if document["kind"] == "Deployment")

    assert _problem({**deployment, "spec": {**deployment["spec"], "replica": 1}}) is not None
    assert _problem({**deployment, "apiVersion": "apps/v1beta1"}) is not None


def test_pods_have_no_privileges(written: list[tuple[str, Manifest]]) -> None:
    """Not root, no token of the cluster, no capabilities, nothing written to the image's files."""
    documents = [document for _, document in written]
    for name, pod in _pods(documents):
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume], name
    for name, container in _containers(documents):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert not context.get("privileged"), name


def test_containers_ask_for_what_they_need(written: list[tuple[str, Manifest]]) -> None:
    """Memory is bounded; CPU is not, since a throttled process answers its probes late."""
    for name, container in _containers([document for _, document in written]):
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}, name
        assert set(container["resources"]["limits"]) == {"memory"}, name
        assert container["imagePullPolicy"] == "IfNotPresent", name


def test_a_service_of_the_cluster_never_becomes_a_setting(
    written: list[tuple[str, Manifest]],
) -> None:
    """Links to services would make variables ASSAY_..., which no process accepts."""
    for name, pod in _pods([document for _, document in written]):
        assert pod["enableServiceLinks"] is False, name


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_probed_balanced_and_drained(
    written: list[tuple[str, Manifest]], service: str
) -> None:
    """Its name is headless; probes ask its health; its end is awaited longer than its drain."""
    documents = [document for file, document in written if file == f"base/{service}.yaml"]
    pod = _of(documents, "Deployment", service)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (port,) = container["ports"]

    assert _of(documents, "Service", service)["spec"]["clusterIP"] == "None"
    assert container["readinessProbe"]["grpc"] == {"port": port["containerPort"]}
    assert container["livenessProbe"]["grpc"]["service"] == "liveness"
    startup = container["startupProbe"]
    assert startup["grpc"] == {"port": port["containerPort"]}
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    assert pod["terminationGracePeriodSeconds"] >= 5 + 25 + 10
    assert pod["serviceAccountName"] == service
    assert pod["topologySpreadConstraints"]


def test_pods_are_given_only_settings_that_exist(
    folder: Path, written: list[tuple[str, Manifest]]
) -> None:
    """A process refuses a setting outside the vocabulary."""
    given = {
        variable["name"]
        for _, container in _containers([document for _, document in written])
        for variable in container.get("env", [])
        if variable["name"].startswith("ASSAY_")
    }
    files = list(folder.rglob("settings.env"))
    lines = [line for file in files for line in file.read_text().splitlines()]

    assert len(files) == 2
    assert given | {line.partition("=")[0] for line in lines} <= KNOWN_NAMES


@pytest.mark.parametrize("name", [name for name in OVERLAYS if name.startswith("overlays")])
def test_selectors_choose_pods_that_exist(rendered: dict[str, list[Manifest]], name: str) -> None:
    """A policy or service whose selector matches nothing guards and serves nothing."""
    documents = rendered[name]
    labels = [
        document["spec"]["template"]["metadata"]["labels"]
        for document in documents
        if document["kind"] in {"Deployment", "StatefulSet", "Job"}
    ]
    for document in documents:
        selector = _selected(document)
        if selector and "assay/client" not in selector:
            assert any(selector.items() <= one.items() for one in labels), document["metadata"]


@pytest.mark.parametrize("name", [name for name in OVERLAYS if name.startswith("overlays")])
def test_nothing_is_reachable_by_default(rendered: dict[str, list[Manifest]], name: str) -> None:
    """The first policy denies, the others open edges."""
    denied = _of(rendered[name], "NetworkPolicy", "default-deny")["spec"]

    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_one_thing_scales_the_workers(rendered: dict[str, list[Manifest]]) -> None:
    """Two autoscalers of one Deployment would fight; a small cluster has none."""
    scalers = {
        name: sorted(
            document["kind"]
            for document in documents
            if document["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}
        )
        for name, documents in rendered.items()
        if name.startswith("overlays")
    }

    assert scalers == {
        "overlays/local": [],
        "overlays/production": ["HorizontalPodAutoscaler"],
        "overlays/production-monitored": ["HorizontalPodAutoscaler"],
        "overlays/production-queue-scaled": ["ScaledObject"],
    }


def test_several_data_services_share_no_volume(rendered: dict[str, list[Manifest]]) -> None:
    """A volume has one owner; more replicas read from object storage."""
    for name, documents in rendered.items():
        if not name.startswith("overlays"):
            continue
        spec = _of(documents, "Deployment", "data")["spec"]
        claims = [
            one for one in spec["template"]["spec"]["volumes"] if "persistentVolumeClaim" in one
        ]
        alone = spec["replicas"] == 1 and spec["strategy"]["type"] == "Recreate"

        assert alone if claims else spec["replicas"] > 1, name


def test_production_holds_no_secret(rendered: dict[str, list[Manifest]]) -> None:
    """Passwords are made in the cluster, never kept beside the manifests."""
    for name in ("overlays/production", "overlays/production-queue-scaled"):
        assert not [one for one in rendered[name] if one["kind"] == "Secret"]


def test_with_tls_health_is_asked_in_plain_text(rendered: dict[str, list[Manifest]]) -> None:
    """Native probes know no TLS, so that they ask the port that answers health alone."""
    for service in SERVICES:
        deployment = _of(rendered["overlays/production"], "Deployment", service)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        probes = [
            container[f"{kind}Probe"]["grpc"]["port"]
            for kind in ("startup", "readiness", "liveness")
        ]

        assert probes == [ports["health"]] * 3


def test_a_batch_has_a_file_for_every_index(rendered: dict[str, list[Manifest]]) -> None:
    """An index without a file would fail for ever."""
    documents = rendered["batch/studies"]
    (files,) = [one["data"] for one in documents if one["kind"] == "ConfigMap"]
    spec = _of(documents, "Job", "studies")["spec"]

    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == len(files)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
