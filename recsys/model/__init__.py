"""The additive model: every score is the sum of terms that can be named."""
