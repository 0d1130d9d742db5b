"""The README's tour with grpcurl works as it stands, command after command."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"
COMMAND_SECONDS = 60
INSTALL_SECONDS = 180

Translate = Callable[[list[str]], list[str]]


def _tour() -> list[str]:
    page = (ROOT / "README.md").read_text()
    section = re.search(
        r"^## A tour with grpcurl\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL
    )
    assert section is not None
    blocks = re.findall(r"^```sh\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("grpcurl ")]


def _as_buf_curl(words: list[str]) -> list[str]:
    """Say the same to buf: `grpcurl -plaintext [-d JSON] ADDRESS (list | SERVICE/METHOD)`."""
    *options, address, symbol = words[1:]
    buf = [str(Path(sys.executable).parent / "buf"), "curl", "--protocol", "grpc"]
    buf.append("--http2-prior-knowledge")
    if symbol == "list":
        return [*buf, "--list-services", f"http://{address}"]
    message = options[options.index("-d") + 1] if "-d" in options else "{}"
    return [*buf, "-d", message, f"http://{address}/{symbol}"]


def _install(folder: Path) -> str | None:
    """Build grpcurl with Go; it takes minutes of both cores, so only who asks for it gets it."""
    if "TEST_INSTALL_GRPCURL" not in os.environ or shutil.which("go") is None:
        return None
    environment = os.environ | {"GOBIN": str(folder)}
    try:
        built = subprocess.run(
            ["go", "install", GRPCURL], env=environment, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return str(folder / "grpcurl") if built.returncode == 0 else None


@pytest.fixture(scope="module")
def spoken() -> Translate:
    """Return what makes a tour's command runnable: by grpcurl where there is one, else by buf."""
    tools = ROOT / ".tools"
    program = shutil.which("grpcurl") or shutil.which("grpcurl", path=tools) or _install(tools)
    if program is None:
        return _as_buf_curl
    return lambda words: [program, *words[1:]]


def test_the_tour_visits_every_service() -> None:
    """A newcomer sees data, a backtest and a study."""
    called = {service for line in _tour() for service in re.findall(r"assay\.(\w+)\.v1\.", line)}

    assert called == {"data", "backtest", "optimizer"}


def test_every_command_of_the_tour_answers(start_system: Any, spoken: Translate) -> None:
    """Each command ends well and says something, in the order in which it stands."""
    system = start_system()
    ports = {"50051": system.data, "50052": system.workers[0], "50053": system.optimizer}
    backtests = []

    for line in _tour():
        here = re.sub(r"localhost:(\d+)", lambda match: ports[match[1]].address, line)
        answer = subprocess.run(
            spoken(shlex.split(here)),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

        assert answer.returncode == 0, f"{line}\n{answer.stderr}"
        assert answer.stdout.strip() not in {"", "{}"}, line
        if line.endswith("/RunBacktest"):
            backtests.append(json.loads(answer.stdout))

    # A strategy sent as text gives the bits of the built-in it copies.
    by_name, by_text = backtests
    assert by_text["metrics"] == by_name["metrics"]
    assert by_text["trades"] == by_name["trades"]
