"""The rules of market data: names, quality, sync plans, made-up markets. Pure."""
