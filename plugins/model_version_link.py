"""The button on a task that leads to the model version it made."""

from __future__ import annotations

import attrs
from airflow.sdk import BaseOperatorLink


@attrs.define()
class ModelVersionLink(BaseOperatorLink):
    """Reads the entry `link` of the task's result. Evaluated on the worker when the task ends."""

    @property
    def name(self) -> str:
        """Text of the button."""
        return "Model version in MLflow"

    def get_link(self, operator, *, ti_key) -> str:
        """Address of the version, or nothing when the task made none."""
        from airflow.sdk.execution_time.xcom import XCom

        result = XCom.get_value(key="return_value", ti_key=ti_key)
        return (result or {}).get("link", "")
