"""The backtest workers, as studies use them."""
