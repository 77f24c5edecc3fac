"""Fresh processes that have the libraries already: they fork from one that has loaded them and done nothing else."""

from __future__ import annotations

import multiprocessing

# None of the commands' modules: they look at the environment when they are loaded. TensorFlow starts its threads with the
# first operation, which is the child's.
LIBRARIES = [
    "tests.integration.tensorflow_loaded",
    "alembic.command",
    "duckdb",
    "great_expectations",
    "matplotlib.pyplot",
    "mlflow",
    "pandas",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "typer.rich_utils",
    "tests.integration.steps_loaded",
]
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(LIBRARIES)
