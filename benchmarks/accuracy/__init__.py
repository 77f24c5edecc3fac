"""Accuracy and speed beside the systems that one could pick instead: `make bench`."""
