"""Behaviour that a recommender promises, tried on real users and on built ones."""
