"""Loads what the steps load on their way, and makes what their libraries make once in a process: most of a step's time.

Nothing here opens a store or starts a thread. Which commands load what is tested in processes that have nothing:
`test_lazy_commands.py`.
"""

# ruff: noqa: F401 - to be there
import keras_rs
import mlflow.pyfunc
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
import pandas.core.methods.to_dict
import pyarrow.dataset
import pyarrow.pandas_compat
import sklearn.linear_model
from mlflow.utils import requirements_utils
from sqlalchemy.orm import configure_mappers

import recsys.evaluation.reporting.model_card
import recsys.pipeline
import recsys.training.families.additive.fit

configure_mappers()
# Reads the metadata of every installed package, which MLflow asks for with each model that it stores.
requirements_utils._init_modules_to_packages_map()
