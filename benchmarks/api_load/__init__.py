"""How many dislikes a second the API records."""
