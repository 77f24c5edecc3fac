"""How often the gate's rule on dislike exposure is fooled by noise, and how often it sees that a challenger shows more.

Holdouts are drawn as in `null_test`, of users who dislike something: for each a coin says which of two equal fits is
the champion. A challenger that shows more has the same lists, in which slots that nobody met were given to items that their
users dislike, until so many more are shown over all users: NDCG is what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.gate_null.population import K, Population
from recsys.evaluation.gate.comparisons import EXPOSURE, compare_metrics
from recsys.evaluation.gate.config import GateConfig
from recsys.evaluation.gate.dislike_exposure import ExposureFinding, decide_exposure
from recsys.evaluation.gate.evidence import Evidence

Counts = npt.NDArray[np.int64]
BEGIN, END = datetime(2013, 6, 1, tzinfo=UTC), datetime(2013, 6, 8, tzinfo=UTC)
MORE, MANY_USERS, NIGHTS = (
    0.10,
    300,
    7,
)  # the promise: so much more is seen with so many disliking users a night, in a week
NUM_EQUAL, NUM_RESAMPLES = 600, 500  # a bound of 2.5 % takes many draws; the exact test decides, seldom the interval
FEW_USERS, LEVELS = 40, (0.0, MORE, 0.5, 1.0)  # 40: of a night of the shipped stream
MIN_REFUSED, MAX_FALSE_REFUSED = 0.90, 0.025
MAX_LOST = 0.07  # the promise is for systems as alike as the champion and the next night's refresh: see `lost_share`


@dataclass(frozen=True)
class Case:
    """One cell: `num` challengers that show `more` disliked items, evaluated on `nights` holdouts of `size` disliking users."""

    population: int
    more: float
    size: int
    nights: int
    num: int
    seed: int

    def title(self, population: str) -> str:
        """What `null-test --only` looks for."""
        truth = "equal" if self.more == 0 else f"{self.more:.0%} more"
        return f"{population}, {self.size:,} disliking users in each of {self.nights} holdouts, {truth}"


def cases_of(num_populations: int, seed: int, smaller: int = 1) -> list[Case]:
    """One holdout and a week of them; as many users as the shipped stream has, and as many as the promise is for."""
    cells = [(FEW_USERS, NIGHTS), (MANY_USERS, 1), (MANY_USERS, NIGHTS)]
    every = [
        (population, more, size, nights)
        for population in range(num_populations)
        for size, nights in cells
        for more in (LEVELS if size == FEW_USERS else LEVELS[:2])
    ]
    return [
        Case(*cell, max(1, (200 if cell[1] else NUM_EQUAL) // smaller), seed + 1_000_000 * n)
        for n, cell in enumerate(every)
    ]


def shows_more(population: Population, more: float, seed: int) -> Counts:
    """Disliked items in the first ten, `(num_users, num_systems)`, when every system shows so many times more of them.

    The slots go to disliked items at random that are in no list yet.
    """
    rng, listed = np.random.default_rng(seed), population.listed_dislikes()
    for system in range(listed.shape[1]):
        free = np.repeat(np.arange(len(listed)), np.maximum(population.num_disliked - listed[:, system], 0))
        wanted = round(more * int(listed[:, system].sum()))
        np.add.at(listed[:, system], rng.choice(free, min(wanted, len(free)), replace=False), 1)
    return np.minimum(listed, K)


def draw_opinions(population: Population, challengers: Counts, size: int, nights: int, seed: int) -> Evidence:
    """A week: the newest holdout is the batch's own, the others are those of earlier verdicts on the same champion.

    Args:
        population: of users and systems.
        challengers: disliked items that each system shows as a challenger, see `shows_more`.
        size: users of each holdout who dislike something.
        nights: holdouts.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    disliking, shown, likes = (
        np.flatnonzero(population.num_disliked > 0), population.listed_dislikes(), population.listed_likes()
    )  # fmt: skip
    parts = []
    for night in range(nights):
        one, other = rng.choice(shown.shape[1], 2, replace=False)
        users, coin = rng.choice(disliking, size), rng.random(size) < 0.5
        mine, theirs = np.where(coin, one, other), np.where(coin, other, one)
        for label, first, second in ((0, challengers, shown), (1, likes, likes)):
            rows = _rows(night * size, label, first[users, mine], second[users, theirs])
            parts.append(rows.assign(batch_id=str(night)))
    opinions = pd.concat(parts, ignore_index=True).assign(recorded_at=pd.Timestamp(END))
    sources = [{"batch_id": str(night)} for night in range(1, nights)]
    return Evidence(
        "0", "refresh", END, BEGIN, "1", "2", _per_user(opinions), seed, opinions=opinions, pooled_from=sources
    )  # fmt: skip


def _rows(first_user: int, label: int, mine: Counts, theirs: Counts) -> pd.DataFrame:
    """Opinions that give these counts: as many items in both lists as can be, and an unlisted one for who has none."""
    counts = np.maximum(np.maximum(mine, theirs), 1 - label)
    user = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    return pd.DataFrame({
        "user_id": first_user + user, "item_id": K * label + place, "label": label,
        "challenger": place < mine[user], "champion": place < theirs[user],
    })  # fmt: skip


def _per_user(opinions: pd.DataFrame) -> pd.DataFrame:
    """What the gate reads of the batch's own holdout."""
    own = opinions[(opinions["batch_id"] == "0") & (opinions["label"] == 0)]
    frames = [
        (own.groupby("user_id")[system].sum() / K).rename("dislike_exposure_at_10").reset_index().assign(system=system)
        for system in ("challenger", "champion")
    ]
    return pd.concat(frames, ignore_index=True).assign(num_liked=0, num_disliked=1, ndcg_at_10=np.nan)


def find(evidence: Evidence, config: GateConfig) -> list[ExposureFinding]:
    """What the gate finds."""
    compared = compare_metrics(evidence, evidence.pair("challenger", "champion"), "champion", config)
    own = next((one for one in compared if one.metric == EXPOSURE), None)
    return decide_exposure(evidence, "champion", own, None, config)


def simulate(population: Population, case: Case, config: GateConfig) -> dict[str, float]:
    """Share of the challengers that are refused; and disliked items listed by the champion, and users worse and better off."""
    challengers = shows_more(population, case.more, case.seed)
    found = []
    for number in range(case.num):
        evidence = draw_opinions(population, challengers, case.size, case.nights, case.seed + number)
        findings = find(evidence, config)
        disliked = evidence.opinions[evidence.opinions["label"] == 0]
        widest = findings[-1].found
        found.append({
            "refused": any(one.refuses for one in findings), "listed": int(disliked["champion"].sum()),
            "worse_off": widest.num_worse, "better_off": widest.num_better,
        })  # fmt: skip
    rates = {str(name): float(value) for name, value in pd.DataFrame(found).mean().items()}
    return {**rates, "lost": population.lost_share()}


def broken_promises(results: pd.DataFrame) -> list[str]:
    """What the rule promised and did not keep, in words.

    Of equal challengers the test allows 2.5 %, so a little more than that among some hundred draws is no broken promise: more
    than one in a hundred simulations of a rule that keeps it would show is one.

    Args:
        results: `population`, `more`, `size`, `nights`, `num`, `refused`, `lost`, one row per case.
    """
    from scipy.stats import binom

    broken = []
    for row in results.to_dict("records"):
        where = f"{row['population']}, {row['size']:,} disliking users in each of {row['nights']} holdouts"
        most = binom.ppf(0.99, row["num"], MAX_FALSE_REFUSED) / row["num"]
        if row["more"] == 0 and row["refused"] > most:
            broken.append(
                f"{where}: {row['refused']:.1%} of equal challengers refused, allowed {MAX_FALSE_REFUSED:.1%}"
            )
        is_promised = row["more"] == MORE and row["size"] >= MANY_USERS and row["nights"] >= NIGHTS
        if is_promised and row["lost"] <= MAX_LOST and row["refused"] < MIN_REFUSED:
            broken.append(
                f"{where}: {row['refused']:.1%} that show {MORE:.0%} more refused, at least {MIN_REFUSED:.0%} must be"
            )
    return broken
