"""Conditions as bits: rows of numbers compared for many parameter sets, 64 bars to a word."""
