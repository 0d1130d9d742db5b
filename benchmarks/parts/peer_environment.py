"""Private environments for peers, made once under .bench/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def python_with(package: str, version: str) -> Path:
    """Return the Python of an environment that holds `package` and numpy, made when needed."""
    folder = _ROOT / ".bench" / f"{package}-{version}"
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    if not stamp.exists():
        print(f"installing {package} {version} into {folder} (once)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "numpy", f"{package}=={version}"],
            check=True,
        )
        stamp.touch()
    return python
