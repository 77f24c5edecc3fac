"""The training set: events, labels, weights, and the checks that it has to pass."""
