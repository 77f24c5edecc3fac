"""The head: the few weights that say how much each term of a score counts."""
