"""What MLflow runs to serve a registered version; it is stored inside the version as a source file, not pickled.

Input: histories (see `recsys.model.histories`). Params: `k`. Output: the table of the recommender's `recommend`. The
version carries its own copy of the package, and of the module of a family that is not ours, so a process without this checkout
can do

    mlflow.pyfunc.load_model("models:/feedback-recommender@champion").predict(histories, params={"k": 10})
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class RecommenderModel(PythonModel):  # type: ignore[misc]  # MLflow is not typed here
    """Hands MLflow's calls to a recommender, of whatever family; see `recsys.model.protocol`."""

    def load_context(self, context: Any) -> None:
        """Loads the recommender from the version's artifacts; imports TensorFlow only now."""
        from recsys.model.protocol import load_recommender

        self._recommender = load_recommender(Path(context.artifacts["recommender"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The `params["k"]` best unseen items of every user in `model_input`."""
        k = int((params or {}).get("k", 10))
        return self._recommender.recommend(model_input, k=k)


set_model(RecommenderModel())
