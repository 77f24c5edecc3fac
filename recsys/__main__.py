"""`python -m recsys`."""

from recsys.cli import app

app()
