"""`make bench-exposure`: what it would cost in accuracy to show fewer disliked items. Writes docs/dislike_exposure.md.

Lists of our model are made again after its scores above 0 were multiplied by the approval rate of their items (the
share of likes among the opinions on an item, which scales them once already) to further powers: the same for everybody,
or larger for users who dislike more than others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.accuracy.__main__ import ROOT, SHIPPED, stream_at
from benchmarks.accuracy.judging import Scorer, Train, top_lists, worth
from benchmarks.accuracy.judging import test_users as users_of
from benchmarks.accuracy.ours import fit_ours
from benchmarks.accuracy.streams import splits_of

FloatArray = npt.NDArray[np.float64]
SHRINKAGE = 2.0  # opinions like everybody's that are added to each user's
# How often a user dislikes, as a multiple of how often everybody does -> the further power of the approval rate.
VARIANTS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "as fitted": np.zeros_like,
    "approval rate once more": np.ones_like,
    "approval rate 3 times more": lambda often: np.full_like(often, 3.0),
    "approval rate 7 times more": lambda often: np.full_like(often, 7.0),
    "twice how often the user dislikes": lambda often: 2.0 * often,
    "4 times how often the user dislikes": lambda often: 4.0 * often,
    "4 times, who dislikes more than others": lambda often: 4.0 * np.maximum(often - 1.0, 0.0),
    "20 times, who dislikes more than others": lambda often: 20.0 * np.maximum(often - 1.0, 0.0),
}
TEXT = """\
# What showing fewer disliked items would cost

Written by `make bench-exposure`. Exposure is the share of the first ten items that the user goes on to dislike, over users
with a disliked test item. Below, the scores of our fitted model are multiplied by further powers of the *approval rate*
of each item (the share of likes among its opinions; it counts once as fitted), the same for everybody or by how often the
user dislikes, as a multiple of how often everybody does. Splits, candidates and users are those of
[Beside its peers](benchmark.md); seed {seed}.
"""


@dataclass(frozen=True)
class Fitted:
    """Our model on one split.

    Attributes:
        train: what it knew.
        score: of the candidates.
        regard: `(num_candidates,)`, approval rates in (0, 1]; 1 for what the model does not know.
        often: `(num_users,)`: how often each user dislikes, as a multiple of how often everybody does.
    """

    train: Train
    score: Scorer
    regard: FloatArray
    often: FloatArray

    @classmethod
    def of(cls, train: Train, items: pd.DataFrame, seed: int) -> Fitted:
        """Fits."""
        score, result = fit_ours(train, items, seed)
        known = pd.Index(result.recommender.item_ids).get_indexer(pd.Index(train.item_ids))
        regard = np.append(np.asarray(result.recommender.model.regard, np.float64), 1.0)[known]  # -1: the last
        likes, dislikes = (np.bincount(train.users[train.signal == s], minlength=len(train.user_ids)) for s in (1, -1))
        share = dislikes.sum() / max(likes.sum() + dislikes.sum(), 1)
        own = (dislikes + SHRINKAGE * share) / (likes + dislikes + SHRINKAGE)
        return cls(train, score, regard, own / share if share else np.ones(len(own)))

    def with_power(self, power: FloatArray) -> Scorer:
        """Scores above 0 times the approval rate to the power of each user; `power` is `(num_users,)`."""

        def score(users: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
            scores = self.score(users)
            return np.where(scores > 0, scores * self.regard ** power[users, None], scores).astype(np.float32)

        return score

    def judged(self) -> pd.DataFrame:
        """What each variant's lists are worth to each user; see `worth`."""
        users = users_of(self.train)
        return pd.concat([
            worth(self.train.split, top_lists(self.train, self.with_power(power(self.often)), users)).assign(variant=name)
            for name, power in VARIANTS.items()
        ], ignore_index=True)  # fmt: skip


def section(data: str, judged: pd.DataFrame) -> str:
    """The part of the page about one stream."""
    first = judged[judged["variant"] == "as fitted"]
    exposed = first[first["dislike_exposure_at_10"].notna()]
    lines = [
        f"## {data}\n",
        f"{len(exposed):,} users had a disliked test item. {(~exposed['is_known']).mean():.0%} of them had liked nothing "
        f"before, and {(exposed['num_liked'] == 0).mean():.0%} liked no test item: no list would have pleased them.\n",
        "| power of the approval rate | NDCG@10 | | dislike exposure@10 | | of known users | of new users |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in VARIANTS:
        own = judged[judged["variant"] == name]
        ndcg, exposure = own["ndcg_at_10"].mean(), own["dislike_exposure_at_10"].mean()
        split = [own.loc[own["is_known"] == known, "dislike_exposure_at_10"].mean() for known in (True, False)]
        parts = " | ".join("" if np.isnan(part) else f"{part:.4f}" for part in split)
        cost, gain = ndcg / first["ndcg_at_10"].mean() - 1.0, exposure / exposed["dislike_exposure_at_10"].mean() - 1.0
        lines.append(f"| {name} | {ndcg:.4f} | {cost:+.1%} | {exposure:.4f} | {gain:+.1%} | {parts} |")
    return "\n".join([*lines, ""])


def main(
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Folders, MovieLens or MovieTweetings; FOLDER:time or FOLDER:user says how to split."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    report: Annotated[Path, typer.Option(help="Where the page goes.")] = ROOT / "docs" / "dislike_exposure.md",
) -> None:
    """Measure what fewer disliked items in lists would cost; without DATA on the shipped stream."""
    streams = []
    for text in data or [str(SHIPPED)]:
        folder, stream, protocol = stream_at(text, seed)
        streams.append((folder.name, stream.items, splits_of(stream, protocol)))
    columns = (TextColumn("{task.description:<30}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    parts = [TEXT.format(seed=seed)]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=sum(len(splits) for _, _, splits in streams))
        for name, items, splits in streams:
            progress.update(bar, description=name)
            judged = []
            for split in splits:
                judged.append(Fitted.of(Train.of(split), items, seed).judged())
                progress.advance(bar)
            parts.append(section(name, pd.concat(judged, ignore_index=True)))
    report.write_text("\n".join(parts), encoding="utf-8")
    print(f"Written: {report}")


if __name__ == "__main__":
    typer.run(main)
