"""The parts of the store: each binds queries to transactions on one database."""
