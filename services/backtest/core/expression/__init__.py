"""The expression language: text to a checked program of operations."""
