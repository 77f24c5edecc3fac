"""Who may call, for whom, and how often."""
