"""Measurements beside peers and beside ourselves; `make` lists them."""
