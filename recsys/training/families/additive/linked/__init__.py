"""Linked items: what is known of every pair, as sums that one night hands to the next."""
