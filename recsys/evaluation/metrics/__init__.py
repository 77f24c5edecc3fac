"""Metrics of ranked lists, and what they are computed from."""
