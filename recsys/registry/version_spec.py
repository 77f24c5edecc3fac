"""What one fit left behind, and its form in MLflow: parameters, dataset, and the model as a folder."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.errors import InputError
from recsys.run_ids import require_run_id

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = Path(__file__).resolve().parents[1]
REQUIRED_TAGS = ("trained_through", "as_of")
REQUIREMENTS = ("mlflow", "tensorflow", "keras", "numpy", "pandas", "pyarrow", "scipy")
MAX_PARAM_LENGTH = 6000  # MLflow cuts what is longer
MAX_DIGEST_LENGTH = 36  # of a dataset in MLflow; the tag `dataset_digest` holds all of it


@dataclass(frozen=True)
class VersionSpec:
    """What one fit left behind, to be logged as one version.

    Attributes:
        batch_id: training batch; with `fit` the key of the version.
        fit: "judged" (fitted through D1, compared by the gate) or "refit" (fitted through the cut-off).
        model_folder: what `Recommender.save` wrote.
        params: JSON-able settings of the fit; a retry brings the same ones.
        metrics: numbers of the fit; names of letters, digits and `_-./ `.
        tags: tags of the version; `trained_through` and `as_of` are required, the key and the digest are added.
        training_set: Parquet file.
        dataset_digest: content digest of the training set.
        artifacts: folder in the run -> local file or folder, whose content is put there.
        description: markdown, shown with the version.
        input_example: histories as the model takes them, of nobody: whoever may read the registry may read it.
        run_name: name of the run in the UI.
        source: what started the run, for people.
        code: files or packages that load the model, beside this package.
    """

    batch_id: str
    fit: str
    model_folder: Path
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    training_set: Path
    dataset_digest: str
    description: str
    input_example: pd.DataFrame
    run_name: str
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    source: str = ""
    code: Sequence[Path] = ()

    def __post_init__(self) -> None:
        missing = [tag for tag in REQUIRED_TAGS if not self.tags.get(tag)]
        if missing:
            raise InputError(
                f"Expected the tags {', '.join(REQUIRED_TAGS)} on a version, missing: {', '.join(missing)}."
            )
        if self.fit not in ("judged", "refit"):
            raise InputError(f"Expected fit to be 'judged' or 'refit', got {self.fit!r}.")
        require_run_id(self.batch_id)

    @property
    def key(self) -> dict[str, str]:
        """The tags that no two versions share. A batch that was released and claimed anew has another training set."""
        return {"batch_id": self.batch_id, "fit": self.fit, "dataset_digest": self.dataset_digest}

    @property
    def version_tags(self) -> dict[str, str]:
        """All tags of the version."""
        return {name: str(value) for name, value in self.tags.items()} | self.key


def as_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as MLflow keeps them: text, JSON where it is not text already."""
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        for key, value in params.items()
    }
    return {key: text[:MAX_PARAM_LENGTH] for key, text in texts.items()}


def as_dataset_input(spec: VersionSpec) -> Any:
    """The training set for the run's inputs: name, digest, source path, schema and size; no copy of the data."""
    import mlflow.data
    import pandas as pd
    from mlflow.entities import Dataset, DatasetInput, InputTag

    examples = pd.read_parquet(spec.training_set)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*integer column", category=UserWarning)  # ours cannot be null
        warnings.filterwarnings("ignore", message=".*can be interpreted in multiple ways", category=UserWarning)
        described = mlflow.data.from_pandas(
            examples,
            source=str(spec.training_set),
            targets="label",
            name="training_set",
            digest=spec.dataset_digest[:MAX_DIGEST_LENGTH],
        ).to_dict()
    return DatasetInput(Dataset(**described), [InputTag("mlflow.data.context", "training")])


def save_pyfunc(folder: Path, logged_model: Any, spec: VersionSpec) -> None:
    """Writes the model as MLflow serves it, into a new folder in a temporary one.

    Nothing is pickled: it holds source files, the recommender's files, and metadata.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    recommender = folder.with_name("recommender")  # MLflow keeps the name of the folder, not the key; it refuses a link
    shutil.copytree(spec.model_folder, recommender)
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(PACKAGE / "registry" / "pyfunc_model.py"),
        artifacts={"recommender": str(recommender)},
        code_paths=[str(PACKAGE), *map(str, spec.code)],
        signature=_signature(),
        input_example=spec.input_example,
        pip_requirements=pinned_requirements(),
        mlflow_model=Model(
            artifact_path=logged_model.artifact_location,
            run_id=logged_model.source_run_id,
            model_uuid=logged_model.model_id,
            model_id=logged_model.model_id,
        ),
    )


def pinned_requirements() -> list[str]:
    """What the model needs to run, at the versions installed here."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in REQUIREMENTS]


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    text, number = DataType.string, DataType.double
    histories = [
        ColSpec(text, "user_id"),
        ColSpec(text, "item_id"),
        ColSpec(text, "signal"),
        ColSpec(number, "weight"),
        ColSpec(text, "reason", required=False),
        ColSpec(number, "age_days", required=False),
    ]
    lists = [
        ColSpec(text, "user_id"),
        ColSpec(DataType.long, "rank"),
        ColSpec(text, "item_id"),
        ColSpec(number, "score"),
        ColSpec(text, "reason"),
        ColSpec(text, "contributions"),
    ]
    return ModelSignature(Schema(histories), Schema(lists), ParamSchema([ParamSpec("k", DataType.long, 10)]))
