"""optuna-dashboard on the study database, whose address comes by the environment.

Its own command takes the address as an argument, where every process of the machine reads the
password.
"""

from __future__ import annotations

import os

from optuna.storages import RDBStorage
from optuna_dashboard import run_server

run_server(RDBStorage(os.environ["DATABASE_URL"]), host="0.0.0.0", port=8080)  # noqa: S104
