"""What people look at: tables, pictures and the card of a version."""
