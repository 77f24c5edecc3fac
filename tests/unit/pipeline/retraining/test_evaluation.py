"""Which refits are promoted: those whose explanations say what the model does."""

import pytest

from recsys.errors import DataCheckError
from recsys.model.explainer import Explainer
from recsys.pipeline.promotion.refit import check_refit
from tests.unit.recommenders import make_fitting_histories, make_recommender


def test_an_honest_refit_passes_and_its_fidelity_is_logged() -> None:
    recommender = make_recommender().with_adjustment_power(8.0)
    results, metrics = check_refit("7", recommender, recommender, make_fitting_histories(recommender, 40, seed=1), 0)
    assert all(result.passed for result in results)
    assert metrics["rank_overlap_at_10"] == 1.0
    assert (
        max(metrics[f"fidelity_max_{name}"] for name in ("sum_error", "deletion_error_at_1", "deletion_error_at_3"))
        < 1e-5
    )


def test_a_refit_with_wrong_explanations_is_not_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Explainer.__init__

    def wrong(self: Explainer, *arguments: object) -> None:
        honest(self, *arguments)  # type: ignore[arg-type]
        self.weight["dislikes"] += 0.01

    monkeypatch.setattr(Explainer, "__init__", wrong)
    recommender = make_recommender().with_adjustment_power(8.0)
    with pytest.raises(
        DataCheckError,
        match=r"refit of version 7 .*contributions_sum_to_score: user u\d+, item i\d+: .*deletion_lowers_by_share: .*"
        r"It is not promoted",
    ):
        check_refit("7", recommender, recommender, make_fitting_histories(recommender, 40, seed=1), 0)
