"""From evidence to a verdict, from a verdict to a champion."""
