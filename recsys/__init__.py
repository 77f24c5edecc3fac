"""A nightly loop that turns thumbs-down into a better, explainable recommender."""

__version__ = "0.1.0"
