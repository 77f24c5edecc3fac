"""A state on disk: one folder that is whole or not there.

state.json       format, cut-off, landmark, half-life, settings, and digests of the other files
<name>.npy       the fields of `LinkedItems`: float64 `(num_linked, num_linked)`; `<name>.npz` where they are sparse
terms.parquet    the fields of `UserTerms`
users.parquet    `user_id`; personal data: an erasure has to reach it, see `LinkedState.without_user`
items.parquet    `item_id`
"""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

from recsys.errors import InputError, NotFoundError
from recsys.files.atomic import whole_folder
from recsys.files.digests import FileDigest, digest_folder, require_same
from recsys.model.sums import Sums
from recsys.training.families.additive.linked.items import LinkedItems, UserTerms
from recsys.training.families.additive.linked.state import LinkedState

FORMAT = 1


def save_state(state: LinkedState, folder: Path) -> None:
    """Writes the state; what was in `folder` stays until the new one is whole."""
    about: dict[str, Any] = {
        "format": FORMAT,
        "as_of": state.as_of.isoformat(),
        "landmark": state.landmark.isoformat(),
        "half_life_days": state.half_life_days,
        "settings": state.settings,
        "num_touched": state.num_touched,
    }
    terms = {field.name: getattr(state.terms, field.name) for field in fields(UserTerms)}
    with whole_folder(folder) as building:
        for field in fields(LinkedItems):
            _save_sums(getattr(state.sums, field.name), building / field.name)
        pq.write_table(pa.table(terms), building / "terms.parquet")
        pq.write_table(pa.table({"user_id": pa.array(state.user_ids, pa.string())}), building / "users.parquet")
        pq.write_table(pa.table({"item_id": pa.array(state.item_ids, pa.string())}), building / "items.parquet")
        about["files"] = {name: [file.sha256, file.size] for name, file in digest_folder(building).items()}
        (building / "state.json").write_text(json.dumps(about, indent=2), encoding="utf-8")


def load_state(folder: Path) -> LinkedState:
    """Reads what `save_state` wrote.

    Raises:
        NotFoundError: if there is no state in the folder.
        InputError: if it has another format, or a file is missing or cannot be read.
        DigestError: if a file is not the one that was written with it.
    """
    if not (folder / "state.json").exists():
        raise NotFoundError(f"Expected a state in {folder}, found none: rebuild it with LinkedState.rebuild.")
    about = _about(folder)
    if about.get("format") != FORMAT:
        raise InputError(
            f"Expected a state of format {FORMAT} in {folder}, got {about.get('format')}: rebuild it with "
            "LinkedState.rebuild."
        )
    _require_written(folder, about.get("files", {}))  # a state of before has none
    try:
        terms = pq.read_table(folder / "terms.parquet")
        return LinkedState(
            sums=LinkedItems(*(_load_sums(folder / field.name) for field in fields(LinkedItems))),
            terms=UserTerms(*(terms[field.name].to_numpy() for field in fields(UserTerms))),
            user_ids=_ids(folder / "users.parquet"),
            item_ids=_ids(folder / "items.parquet"),
            as_of=datetime.fromisoformat(about["as_of"]),
            landmark=datetime.fromisoformat(about["landmark"]),
            half_life_days=about["half_life_days"],
            settings=about["settings"],
            num_touched=about["num_touched"],
        )
    except FileNotFoundError as error:
        raise InputError(
            f"Expected a whole state in {folder}, {Path(error.filename).name} is missing: rebuild it with "
            "LinkedState.rebuild."
        ) from error


def _about(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "state.json").read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(
            f"Expected {folder / 'state.json'} of a state, got a file that cannot be read ({str(error)[:200]}): rebuild it "
            "with LinkedState.rebuild."
        ) from error


def _require_written(folder: Path, files: dict[str, list[Any]]) -> None:
    at = datetime.fromtimestamp((folder / "state.json").stat().st_mtime, UTC)
    known = {name: FileDigest(name, sha256, size, at) for name, (sha256, size) in files.items()}
    require_same(folder, known, "Rebuild the state with LinkedState.rebuild.")


def _save_sums(sums: Sums, path: Path) -> None:
    if isinstance(sums, np.ndarray):
        np.save(path.with_suffix(".npy"), sums)
    else:
        sp.save_npz(path.with_suffix(".npz"), sums, compressed=False)  # to compress takes longer than to count anew


def _load_sums(path: Path) -> Sums:
    sparse = path.with_suffix(".npz")
    return sp.csr_matrix(sp.load_npz(sparse)) if sparse.exists() else np.load(path.with_suffix(".npy"))


def _ids(path: Path) -> npt.NDArray[np.object_]:
    return np.asarray(pq.read_table(path).column(0).to_numpy(zero_copy_only=False), dtype=object)
