"""Drift: whether today's users, items and feedback differ from those of the reference period."""
