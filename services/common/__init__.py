"""How to be a service here: a closed list of modules about gRPC processes and candle frames.

Rules of the business never live here. `frames`, `intervals`, `errors` and `settings` are pure and
may be used by every floor; the others know gRPC and may be used above `core` only.
"""
