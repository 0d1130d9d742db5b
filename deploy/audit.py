"""Asks for known weaknesses of every pinned package: `python deploy/audit.py PIP_AUDIT LOCK...`.

pip-audit takes a package that its database does not answer about for a good one. Here nothing
passes that was not looked at. Exits with

    0   every pin of every lock was looked at, and nothing is known against any
    1   something is known; each finding is told
    2   the database did not answer about all of them; findings about the others are told
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CLEAN, FOUND, UNKNOWN = 0, 1, 2

Pin = tuple[str, str]


def pins_of(locks: Iterable[Path]) -> set[Pin]:
    """Return name and version of whatever the locks pin, for any Python and platform."""
    found: set[Pin] = set()
    for lock in locks:
        pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE)
        found |= {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in pins}
    return found


def asked(program: str, pins: set[Pin], folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Run pip-audit over the pins; return what it says of each, and its complaints.

    A file names each package once: the second version of one goes to a second file.
    """
    versions: dict[str, list[str]] = defaultdict(list)
    for name, version in sorted(pins):
        versions[name].append(version)
    files = []
    for turn in range(max(map(len, versions.values()), default=0)):
        files.append(folder / f"{turn}.txt")
        lines = (f"{name}=={of[turn]}\n" for name, of in versions.items() if turn < len(of))
        files[-1].write_text("".join(lines))
    said: list[dict[str, Any]] = []
    complaints = []
    for file in files:
        command = [program, "--no-deps", "--disable-pip", "--progress-spinner", "off"]
        answer = subprocess.run(  # noqa: S603 - the program is the caller's choice
            [*command, "--format", "json", "--requirement", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.stdout.strip():
            said += json.loads(answer.stdout)["dependencies"]
        else:
            complaints.append((answer.stderr.strip().splitlines() or ["no answer"])[-1])
    return said, "; ".join(complaints)


def judged(said: list[dict[str, Any]], pins: set[Pin], complaints: str) -> tuple[int, list[str]]:
    """Return the exit status and its reasons, a line each."""
    looked_at = {(one["name"], one["version"]) for one in said if "vulns" in one}
    lines = [
        f"{one['name']} {one['version']}: {known['id']}"
        f", fixed in {', '.join(known['fix_versions']) or 'no version yet'}"
        for one in said
        for known in one.get("vulns", [])
    ]
    missing = pins - looked_at
    if missing:
        some = ", ".join(f"{name} {version}" for name, version in sorted(missing)[:3])
        lines.append(
            f"NOT AUDITED: the database of advisories did not answer about {len(missing)} of "
            f"{len(pins)} packages ({some}, ...). Is the network there?"
        )
        return UNKNOWN, [*lines, complaints] if complaints else lines
    return FOUND if lines else CLEAN, lines


def main(program: str, locks: list[str]) -> int:
    """Audit the locks and print; return the exit status."""
    pins = pins_of(map(Path, locks))
    with tempfile.TemporaryDirectory() as folder:
        try:
            said, complaints = asked(program, pins, Path(folder))
        except (OSError, ValueError) as error:
            said, complaints = [], str(error)
    status, lines = judged(said, pins, complaints)
    for line in lines or [f"{len(pins)} packages: nothing is known against them"]:
        print(line)  # noqa: T201 - that is what it is for
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
