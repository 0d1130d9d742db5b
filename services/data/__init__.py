"""The data service: fetches, checks, versions and serves candles and funding rates."""
