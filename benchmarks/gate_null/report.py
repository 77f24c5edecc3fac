"""docs/gate_null_test.md and its picture from what was simulated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.stats import binom, binomtest

from benchmarks.gate_null.null_test import (
    EQUAL,
    FALSE_BETTER,
    MAX_FALSE_BETTER,
    MIN_REFUSED,
    MIN_USERS,
    WORSENED,
    Tables,
)
from benchmarks.gate_null.shown_dislikes import (
    FEW_USERS,
    MANY_USERS,
    MAX_FALSE_REFUSED,
    MAX_LOST,
    MORE,
    NIGHTS,
    NUM_RESAMPLES,
)
from benchmarks.gate_null.shown_dislikes import MIN_REFUSED as MIN_REFUSED_THAT_SHOW_MORE
from recsys.evaluation.gate.config import GateConfig
from recsys.evaluation.gate.margins import signed

TEXT = """\
# Is the gate fooled by noise?

Written by `make null-test` in {minutes:.0f} minutes on {cores} cores. Seed {seed}.

**The bounds {hold}.** On every row below, at most {max_better:.0%} of the challengers that are equal to the champion may be
called *better*; and of those that are worse by {worsened:.0%}, at least {min_refused:.0%} must be refused where the holdout
has {min_users:,} users or more. Of challengers that show 10 % more of what users dislike at equal NDCG, the rule on dislike
exposure must refuse at least {min_shown:.0%} where {nights} holdouts of {many:,} disliking users or more are pooled and the
lists are as alike as those of two consecutive nights; of equal ones at most {max_shown:.1%}, everywhere.{broken}

## How

Per-user results come from fits of our model on the last window of the stream. The fits differ by their seed, and each sees
its own random share of the events before the window; so they are equally good, and their lists differ as those of two
nights do. A holdout is drawn from the users, with replacement. For each of its users a coin says which of two fits is the
champion and which the challenger: in truth, there is no difference.

A challenger that is *worse by 5 %* has the same lists, in which hits chosen at random went down one rank, behind the item
below them, until the mean NDCG@10 of all users was 5 % lower. Most users lose nothing, a few lose much.

The gate is the one that runs every night, with its default thresholds and {resamples:,} resamples; all challengers count as
refreshes of the champion's recipe. It sees NDCG@10 (margin {margin}), Recall@20, MRR, dislike exposure@10, and slices by
activity and taste.

| users that holdouts are drawn from | users | slices | NDCG@10 | correlation of two fits, by user |
|---|---:|---:|---:|---:|
{populations}

## Equal challengers

| drawn from | users | challengers | called better | called worse | promoted | refused by a guard rail | by a slice |
|---|---:|---:|---:|---:|---:|---:|---:|
{equal}

*Called better* says that the whole {confidence:.0%} interval of NDCG@10 lies above 0: by design that is so for {nominal:.1%} of
equal challengers, and for fewer where little evidence is not believed. In brackets, the 95% interval of the share that was
measured. There are so many challengers that this table would break the bound of {max_better:.0%} by chance in {by_chance}
of its runs, if {nominal:.1%} were called better.

## Worse challengers: how many are refused

{power}

![How often the gate refuses a challenger, by how much worse it is and by the number of users](gate_null_test.png)

## Dislike exposure: how many are refused

{shown}

Disliking users are those of each holdout; *disliked and listed* are items in all holdouts, by the champion; *lost*, the share
of them that are not in an equal system's list.

A challenger that shows more has the same lists, in which slots that nobody met hold disliked items. The gate evaluates
the newest holdout, and all of them together: users for whom more disliked items are listed against users for whom fewer are,
by an exact sign test (with intervals of {few_resamples} resamples). Among some hundred equal challengers a few more than
{max_shown:.1%} may be refused by chance; the bound is broken by more than 99 in 100 simulations of {max_shown:.1%} show.

Lists that are alike leave little noise. How alike are they? On the shipped stream (champion and next night's challenger on
the seven nights of 6 to 12 June 2013) they share 86 % of the slots; of the 27 disliked items that the champion listed the
challenger did not list 1, of the 176 liked ones 5: 3 %. So the bound is for populations where at most
{max_lost:.0%} are lost. A champion of up to a week of age is less like its challengers: of what that of 5 June listed they lost
15 of 182 liked items and 17 of 43 disliked ones. The power there is rather that of the fits on half of the events.

Where few users have dislikes, nobody can see 10 % more: a night of the shipped stream has about 40 of them, for whom about
five disliked items are listed. The rows of {few} say what a week of such nights sees.

## Who is evaluated

A challenger that is worse by exactly the margin is refused in all but about 2.5 % of the cases, since the whole 95 %
interval must lie above it. The less alike two equal fits are, the more users it takes to show that one is not worse: a
refused equal challenger costs a night, and the next one is evaluated from scratch. Below {evidence:,} users a refresh is
promoted unless it is significantly worse than the margin or below {sanity:.0%} of the champion, since a stale model
costs more than noise; a changed recipe is never promoted there. Below {least} users nothing is: the verdict is
"insufficient evidence", and the holdout grows. With {least} users that bound still refuses a
challenger of half the accuracy nearly always.
"""


def write_report(
    path: Path,
    tables: list[Tables],
    results: pd.DataFrame,
    shown: pd.DataFrame,
    broken: Sequence[str],
    seed: int,
    seconds: float,
) -> None:
    """Writes the page and its picture.

    Args:
        path: of the page.
        tables: what holdouts were drawn from.
        results: one row per setting; see `null_test.run_all`.
        shown: one row per case of the exposure rule; see `null_test.run_cases`.
        broken: bounds that do not hold, in words.
        seed: of the command.
        seconds: that it took.
    """
    config = GateConfig()
    first = results[results["population"] == tables[0].population.name]
    page = TEXT.format(
        minutes=seconds / 60, cores=os.cpu_count(), seed=seed, hold="do not hold" if broken else "hold",
        broken="".join(f"{gap}- {words}." for gap, words in zip(["\n\n", *["\n"] * len(broken)], broken, strict=False)),
        max_better=MAX_FALSE_BETTER, worsened=WORSENED, min_refused=MIN_REFUSED, min_users=MIN_USERS,
        resamples=config.num_resamples, margin=signed(config.ndcg_margin), evidence=config.min_users,
        sanity=config.sanity_ratio, least=config.min_refresh_users, more=MORE, nights=NIGHTS, many=MANY_USERS,
        min_shown=MIN_REFUSED_THAT_SHOW_MORE, max_shown=MAX_FALSE_REFUSED, max_lost=MAX_LOST, few=FEW_USERS,
        few_resamples=NUM_RESAMPLES,
        shown=_shown(shown),
        populations="\n".join(map(_population, tables)),
        confidence=config.confidence, nominal=FALSE_BETTER, by_chance=_by_chance(results),
        equal="\n".join(map(_equal, _records(results[results["share"] == EQUAL]))), power=_power(results),
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    plot_power(first, path.with_suffix(".png"))


def _records(frame: pd.DataFrame) -> list[dict[str, float]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _population(tables: Tables) -> str:
    own = tables.population
    ndcg = np.column_stack([table[:, 0] for table in tables.champions])
    alike = np.atleast_2d(np.corrcoef(ndcg.T))[np.triu_indices(ndcg.shape[1], 1)].mean()
    num_slices = sum(own.slices[dimension].nunique() for dimension in own.slices)
    return f"| {own.name} | {len(ndcg):,} | {num_slices} | {ndcg.mean():.4f} | {alike:.2f} |"


def _equal(row: dict[str, float]) -> str:
    rates = ("called_better", "called_worse", "promoted", "by_a_guard", "by_a_slice")
    cells = " | ".join(f"{row[name]:.1%}" for name in rates[1:])
    low, high = binomtest(round(row["called_better"] * row["num"]), int(row["num"])).proportion_ci(0.95)
    cells = f"{row['called_better']:.1%} ({low:.1%} to {high:.1%}) | {cells}"
    return f"| {row['population']} | {row['size']:,} | {row['num']} | {cells} |"


def _by_chance(results: pd.DataFrame) -> str:
    """How often some row of equal challengers would be above the bound if the gate did what it promises."""
    num = results.loc[results["share"] == EQUAL, "num"].to_numpy(np.int64)
    chance = 1.0 - np.prod(binom.cdf(np.floor(MAX_FALSE_BETTER * num), num, FALSE_BETTER))
    return f"{chance:.1%}" if chance >= 0.001 else "less than 0.1%"


def _shown(shown: pd.DataFrame) -> str:
    """A row per population and size: what becomes of equal challengers, and of those that show more."""
    levels = sorted(shown["more"].unique())
    words = ["equal", *(f"{level:.0%} more" for level in levels[1:])]
    head = ["drawn from", "disliking users", "holdouts", "challengers", "disliked and listed", "lost", *words]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for (population, size, nights), own in shown.groupby(["population", "size", "nights"], sort=False):
        equal = own[own["more"] == 0.0].iloc[0]
        refused = own.set_index("more")["refused"]
        cells = [f"{refused[level]:.1%}" if level in refused else "" for level in levels]
        cells = [f"{equal['num']}", f"{equal['listed']:.0f}", f"{equal['lost']:.1%}", *cells]
        lines.append(f"| {population} | {size:,} | {nights} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _power(results: pd.DataFrame) -> str:
    worse = results[results["share"] > EQUAL]
    levels = sorted(worse["share"].unique())
    lines = [f"| drawn from | users | {' | '.join(f'worse by {level:.0%}' for level in levels)} |"]
    lines.append("|---|---:|" + "---:|" * len(levels))
    for (population, size), own in worse.groupby(["population", "size"], sort=False):
        refused = own.set_index("share")["refused"]
        cells = " | ".join(f"{refused[level]:.1%}" if level in refused else "" for level in levels)
        lines.append(f"| {population} | {size:,} | {cells} |")
    return "\n".join(lines)


def plot_power(results: pd.DataFrame, path: Path) -> None:
    """Writes the picture of one population."""
    power_figure(results).savefig(path, dpi=110)


def power_figure(results: pd.DataFrame) -> Figure:
    """Share refused over the number of users, one line per level of truth; says itself what it shows.

    Args:
        results: `share`, `size`, `refused`, `population`, one row per setting, all of one population.
    """
    figure = Figure(figsize=(8.5, 5.2), layout="constrained")
    axes = figure.subplots()
    for share, own in results.groupby("share"):
        axes.plot(own["size"], own["refused"], marker="o", label=_truth(float(str(share))))
    bound = f"bound: of those {WORSENED:.0%} worse, {MIN_REFUSED:.0%} refused from {MIN_USERS:,} users on"
    axes.plot([MIN_USERS, results["size"].max()], [MIN_REFUSED] * 2, color="black", linestyle="--", label=bound)
    sizes = sorted(results["size"].unique())
    axes.set(
        xscale="log", xlabel="users in the holdout that the gate evaluates (log scale)",
        ylabel="share of challengers that the gate refuses", ylim=(-0.02, 1.02),
        xticks=sizes, xticklabels=[f"{size:,}" for size in sizes],
    )  # fmt: skip
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.3)
    axes.legend(title="In truth, the challenger's NDCG@10 is", fontsize=8, title_fontsize=9)
    figure.suptitle("How often does the promotion gate refuse a challenger?", fontweight="bold")
    axes.set_title(
        f"Simulated challengers of known quality; users drawn from {results['population'].iloc[0]}", fontsize=9
    )
    return figure


def _truth(share: float) -> str:
    if share == EQUAL:
        return "equal to the champion (should pass)"
    should = "should be refused" if share >= WORSENED else "within the margin, may pass"
    return f"{share:.0%} worse ({should})"
