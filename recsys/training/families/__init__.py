"""Model families: how items are linked, and how their vectors are found."""
