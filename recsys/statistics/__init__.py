"""Intervals and tests, for any numbers."""
