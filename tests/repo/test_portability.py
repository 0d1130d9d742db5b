"""The files fit any machine: no paths of one machine, no registry, no link into nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Put together here so that this file does not hold what it looks for.
_FOREIGN = {
    "a path of one machine": rf"(?<![\w.~}}])/{'work'}/|(?<![\w.~}}])/{'root'}/|/{'home'}/[a-z]",
    "a host of a registry": "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("python" + "hosted", "org"),
            ("golang", "org/dl"),
            ("proxy", "golang"),
            ("npm" + "js", "org"),
            ("docker", "io"),
            ("ghcr", "io"),
            ("deb", "debian"),
        )
    ),
    "a choice of index": r"--(?:extra-)?index" + "-url|--find" + "-links",
}
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("what", _FOREIGN)
def test_no_file_names_a_place_of_its_author(root: Path, kept_files: list[Path], what: str) -> None:
    """A clone works elsewhere, with the reader's own paths and registries."""
    pattern = re.compile(_FOREIGN[what])
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in kept_files
        for number, line in enumerate(_lines(root / path), start=1)
        if pattern.search(line)
    ]

    assert found == []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except UnicodeDecodeError:
        return []


def _prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(text: str) -> set[str]:
    """Return the anchors a page has, by the rule of the usual forges."""
    headings = re.findall(r"^#+ +(.*)$", _prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_pages_lead_somewhere(root: Path, kept_files: list[Path]) -> None:
    """A relative link names a file that exists, and a heading that stands in it."""
    broken = []
    for page in (path for path in kept_files if path.suffix == ".md"):
        for match in _LINK.finditer(_prose((root / page).read_text())):
            target = match[1] or match[2]
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = (root / page).parent / name if name else root / page
            if not file.exists() or (anchor and anchor not in _anchors(file.read_text())):
                broken.append(f"{page}: {target}")

    assert broken == []
