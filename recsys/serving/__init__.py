"""What users get: the API, the lists that it serves, and their nightly publishing."""
