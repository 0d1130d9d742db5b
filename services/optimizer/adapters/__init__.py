"""What the optimizer needs from outside: Optuna, the study database, the workers."""
