"""The formulas of the metrics."""
