"""What a fit depends on: its configuration and the code that it executes."""
