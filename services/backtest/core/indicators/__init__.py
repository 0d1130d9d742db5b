"""Indicators: kernels over price columns, and the rows made of them."""
