"""Expressions as numbers: one row per expression, over the bars of a frame."""
