"""Bayesian search for one objective, our own: the same points on every CPU, flat in history."""
