"""The pure core of the backtest service: indicators, signals, the order engine, the metrics.

It knows candles and numbers. It does no input or output, reads no clock, draws no random number and
knows nothing of gRPC.
"""
