"""What a person may set for one run of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from recsys.config.eligibility import EligibilityRule
from recsys.config.mapping import as_mapping, from_mapping, restored
from recsys.config.setting import Setting, validate
from recsys.config.triggers import TriggerConfig

SECTION = "Model"
FAMILIES = ("closed_form", "embedding")  # those that come with this package; a run tries them if nobody says otherwise


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run, from the backlog to published lists: when it retrains, what it fits, what it may recommend.

    Which families there are is not known here: `recsys.pipeline.retraining.planning.chosen_families` asks for them by name.

    Raises:
        InputError: for a value out of its range; the message names the setting.
    """

    force_reason: Annotated[
        str | None,
        Setting(
            "Force reason",
            "Retrain whatever the backlog, for this reason. It goes into the records. Empty: the triggers decide.",
            min_length=3, max_length=500, option="--force",
        ),
    ] = None  # fmt: skip
    triggers: TriggerConfig = field(default_factory=TriggerConfig)
    half_life_days: Annotated[
        float | None,
        Setting(
            "Half-life days",
            "Age at which a weight has halved.",
            SECTION, minimum=0.01, maximum=36_500, unset="a quarter of the stream",
        ),
    ] = None  # fmt: skip
    seed: Annotated[
        int,
        Setting(
            "Seed",
            "Seed of all random numbers in the fit. The same seed and data give the same model.",
            SECTION, minimum=0, maximum=2**32 - 1,  # what NumPy takes
        ),
    ] = 0  # fmt: skip
    families: Annotated[
        tuple[str, ...],
        Setting(
            "Families",
            "Candidates of these families are tried; the best on validation becomes the challenger. One a line: ours, one that "
            "an installed package brings, or package.module:Family. Empty: all of ours.",
            SECTION, option="--family",
            option_help="Try only candidates of this family: {choices}, one that an installed package brings, or one of your "
            "own as package.module:Family. Repeat the option for several.",
        ),
    ] = ()  # fmt: skip
    keep_candidate: Annotated[
        bool,
        Setting(
            "Keep candidate",
            "Fit the champion's candidate and ridges again instead of trying all: a cheaper night. Others are tried only where "
            "there is no champion.",
            SECTION, option="--keep-candidate",
        ),
    ] = False  # fmt: skip
    eligible: Annotated[
        EligibilityRule | None,
        Setting(
            "Eligible",
            'What may be recommended, such as {"max_year": 2011, "genres": ["Drama"]}; all items train. Empty: what the '
            "champion may, any item while there is none. {}: any item. Another rule than the champion's is another recipe.",
            SECTION,
        ),
    ] = None

    def __post_init__(self) -> None:
        validate(self)

    def as_dict(self) -> dict[str, Any]:
        """Setting -> value, JSON-able: what `from_dict` reads. The triggers' stand beside the others."""
        return as_mapping(self)

    @classmethod
    def from_dict(cls, values: RunConfig | Mapping[str, Any] | None) -> RunConfig:
        """From settings as a form, JSON or a person gives them; what is not named has its default, None: all have.

        Raises:
            InputError: for an unknown name, or a value of another type or out of its range.
        """
        return (
            values if isinstance(values, RunConfig) else from_mapping(cls, {} if values is None else values, "settings")
        )

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> RunConfig:
        """From what was written down, maybe by an older or newer version: nothing is refused."""
        return restored(cls, values)
