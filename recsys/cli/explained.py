"""What `recsys recommend` says about a list beyond its reasons: contributions in words, and counterfactuals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from recsys.cli.progress import progress_bar
from recsys.cli.tensorflow_loading import load_for
from recsys.errors import InputError
from recsys.model.explanations import cited_items
from recsys.model.sentences import row_in_words

if TYPE_CHECKING:
    from recsys.pipeline.context import Context
    from recsys.records import RecommendationEntry, RecommendationSet


def titles_of_reasons(context: Context, entries: Iterable[RecommendationEntry]) -> dict[str, str]:
    """Item id -> title, of the items that contributions name; without those that are missing in the catalog."""
    named = {item_id for entry in entries for item_id in cited_items(entry.contributions)}
    return {item_id: item.title for item_id, item in context.store.catalog.get_items(named).items()}


def contribution_rows(contributions: Mapping[str, float], titles: Mapping[str, str]) -> list[str]:
    """One row per contribution, such as "+0.012345  you liked Alien"."""
    return [f"{value:+.6f}  {row_in_words(name, titles)}" for name, value in contributions.items()]


def counterfactual_sentences(context: Context, given: RecommendationSet, k: int) -> dict[str, str]:
    """What the ranks of the first `k` items of a list would be without others, in words.

    The version and the histories of the list are scored again; a progress bar says how far it is.

    Returns:
        Item id -> such as "Without Alien it would be rank 34"; empty for the list for newcomers, which rests on no history.

    Raises:
        InputError: if the list is of a version of another family.
    """
    if given.user_id is None:
        return {}
    with progress_bar() as bar:
        task = bar.add_task("loading TensorFlow", total=None)
        load_for("counterfactuals")
        from recsys.model.counterfactual import counterfactual_sentence, counterfactuals
        from recsys.model.recommender import Recommender
        from recsys.serving.publishing import eligible_as_of

        bar.update(task, description=f"loading version {given.model_version}")
        recommender = eligible_as_of(context.store, context.recommender(given.model_version), given.as_of)
        if not isinstance(recommender, Recommender):
            raise InputError(
                f"Expected a list of a model of our families, got one of version {given.model_version}, which cannot say what "
                "an item would be without another: leave out --counterfactuals."
            )
        half_life_days = float(recommender.recipe["half_life_days"])
        histories = context.store.stream.read_histories(given.as_of, half_life_days, [given.user_id])
        shown = [entry.item_id for entry in given.entries[:k]]

        def on_item(done: int, total: int) -> None:
            bar.update(task, description="scoring without items", completed=done, total=total)

        found = counterfactuals(recommender, histories, given.user_id, shown, progress=on_item)
    return {
        str(item_id): counterfactual_sentence(zip(own["title"], own["rank"], strict=True))
        for item_id, own in found.groupby("item_id")
    }
