"""What a night costs that carries the sums on."""
