"""The gate: what a challenger must show before it becomes champion."""
