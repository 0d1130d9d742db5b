"""The outside world of a worker: the data service."""
