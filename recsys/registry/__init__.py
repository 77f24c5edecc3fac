"""Model versions, kept by MLflow; nothing else imports it."""
