"""Searches that libraries carry out."""
