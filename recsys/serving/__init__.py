"""What users get: published lists (and later the API)."""
