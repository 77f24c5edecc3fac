"""Whether a recorded verdict still follows from its stored evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.errors import DigestError, InputError, NotFoundError
from recsys.pipeline.context import Context
from recsys.pipeline.retraining.evaluation import as_decided, load_evidence
from recsys.records import Decision
from recsys.store.json_text import from_json, to_json

if TYPE_CHECKING:
    from recsys.evaluation.gate.decide import GateConfig

STEP = "decide_promotion"
NOT_THE_GATES = {"model_version", "batch_id", "evidence_uri", "recipe"}  # what the step adds to the gate's numbers
TOLERANCE = 1e-9  # relative: other processors sum in another order


@dataclass(frozen=True)
class Reaudit:
    """What came of evaluating again.

    Attributes:
        verdict: None if it could not be evaluated again.
        differences: from what is on record, in plain words; none: it is the same.
    """

    verdict: str | None
    differences: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether verdict, reasons and numbers are those on record."""
        return not self.differences


def gate_config(numbers: dict[str, Any]) -> GateConfig:
    """The thresholds that a verdict was made with, from its numbers."""
    from recsys.evaluation.gate.decide import GateConfig

    return GateConfig.from_dict(numbers["gate"])


def reaudit(context: Context, decision: Decision) -> Reaudit | None:
    """Evaluates the stored evidence of a verdict of the gate again; None for any other decision."""
    if decision.step != STEP:
        return None
    from recsys.evaluation.gate.decide import decide

    try:
        batch = context.store.backlog.get_batch(decision.numbers["batch_id"])
        evidence = load_evidence(context, as_decided(batch, decision))
        people_said = (decision.numbers.get(name) for name in ("superseded_by", "accepted_thin_evidence"))
        verdict = decide(evidence, gate_config(decision.numbers), *people_said)
    except (DigestError, InputError, NotFoundError) as error:
        return Reaudit(None, (f"It cannot be evaluated again: {error}",))
    except (KeyError, TypeError, ValueError) as error:
        return Reaudit(None, (f"Its thresholds or its evidence do not fit this version of the gate: {error!r}",))
    numbers = from_json(to_json(verdict.numbers))  # as the ledger keeps them
    found = {"verdict": verdict.verdict, "reasons": list(verdict.reasons), "numbers": numbers}
    kept = {name: value for name, value in decision.numbers.items() if name not in NOT_THE_GATES}
    recorded = {"verdict": decision.verdict, "reasons": list(decision.reasons), "numbers": kept}
    return Reaudit(verdict.verdict, tuple(_differences(recorded, found)))


def _differences(recorded: Any, found: Any, path: str = "") -> list[str]:
    if isinstance(recorded, dict) and isinstance(found, dict):
        names = sorted({*recorded, *found})
        return [line for n in names for line in _differences(recorded.get(n), found.get(n), f"{path}.{n}".lstrip("."))]
    if isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        pairs = enumerate(zip(recorded, found, strict=True))
        return [line for n, (one, other) in pairs for line in _differences(one, other, f"{path}[{n}]")]
    if isinstance(recorded, float) and isinstance(found, float):
        is_same = math.isclose(recorded, found, rel_tol=TOLERANCE)
    else:
        is_same = recorded == found
    return [] if is_same else [f"{path}: on record {recorded!r}, now {found!r}"]
