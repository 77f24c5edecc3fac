"""The closed loop over a stored stream."""
