"""Studies in Optuna's tables and ours."""
