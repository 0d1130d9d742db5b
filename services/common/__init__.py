"""How to be a service here: a closed list of modules about gRPC processes and candle frames.

Rules of the business never live here. `frames`, `intervals`, `errors` and `settings` are pure and
may be used by every floor; the others know gRPC and may be used above `core` only.
"""

from typing import Final

VERSION: Final = "0.1.0"
"""Version of Assay, as in pyproject.toml."""
