"""Files that are written whole or not at all, read by nobody else, and known by their digest."""
