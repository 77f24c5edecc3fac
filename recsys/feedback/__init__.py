"""Rules of feedback: what a dislike is, what it teaches, what it counts. Knows no database."""
