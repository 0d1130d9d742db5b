"""The optimizer service: studies that search the parameters of strategies."""
