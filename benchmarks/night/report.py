"""docs/incremental_night.md from what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsys.model.ridge import FLOAT32_ERROR
from recsys.training.families.additive.linked.state import TOLERANCE

LIMIT = 0.2  # of a full rebuild
TEXT = """\
# What a night costs

Written by `make bench-night` in {total_s:.0f} s. A synthetic stream of {num_events:,} interactions with the skew of the
shipped one: activity of users by rank to the power -{user_exponent:.2f}, popularity of items by rank to the power
-{item_exponent:.2f}, {num_users:,} users, {num_linked:,} linked items, over a year. Users and items are drawn
independently. In the last night {active_share:.0%} of the users were active, drawn by how much they do:
{touched_share:.1%} of all interactions are theirs. Seed {seed}; {machine}.

A *rebuild* counts all sums from the events. A *carried* night starts from yesterday's state: it takes the terms of the users
who changed out of the sums and puts their new ones in ({num_touched:,} users here).

| what is compared | rebuild s | carried s | carried / rebuild |
|---|---:|---:|---:|
{rows}

1. The sums alone, {form} ones at this number of linked items. Both read all events once, to find who changed and to sort;
   what is carried also writes four matrices over {num_linked:,} items anew.
2. The sums, and the solution of the three matrices with settings that are known: it costs the same whoever was active.
3. The whole fit. The rebuild tries every candidate and ridge; the night keeps the candidate and the ridges that the last
   full fit chose (here {candidate}), carries the sums of tonight and of its validation past, and chooses the rest anew.

At this size the sums are a small part of a whole fit (row 1 beside row 3), and reading, placing and writing the state can
cost as much as counting them anew: what makes the night cheap is above all that no candidate is tried again.

The promise is a night of at most {limit:.0%} of a full rebuild. **For the whole fit it {verdict}.**

The state takes {state_mib:,.0f} MiB, {read the state:.1f} s to read and {write the state:.1f} s to write: both count for the
carried night. Peak memory of the whole measurement, one process: {peak_mib:,.0f} MiB.

## Exactness

- Sums: the largest difference to the rebuild is {difference:.1e} of the largest diagonal entry; allowed: {tolerance:.0e}.
- float32: {float32}; stated: {float32_error:.0e}.

## Without a dense B

B alone on the last tenth of the shipped stream, {sparse_users:,} users, {sparse_items:,} items: NDCG@10 {dense:.4f} dense,
{sparse:.4f} from the {num_neighbors} nearest items of each ({kept:.1%} of the entries).
"""


def write_report(
    path: Path, numbers: dict[str, Any], skew: dict[str, Any], sparse: dict[str, Any], setting: dict[str, Any]
) -> None:
    """Writes the page.

    Args:
        path: of the page.
        numbers: what `measure` gave.
        skew: what the stream was made from.
        sparse: what `sparse_beside_dense` gave, and `num_neighbors`.
        setting: of the command, machine and total time.
    """
    solves, files = numbers["solves"], numbers["read the state"] + numbers["write the state"]
    carried, night = numbers["sums carried"] + files, numbers["night"] + files
    compared = [
        ("1. sums", numbers["sums rebuilt"], carried),
        ("2. sums and solution", numbers["sums rebuilt"] + solves, carried + solves),
        ("3. whole fit", numbers["full fit"], night),
    ]
    rows = "\n".join(f"| {name} | {full:.1f} | {own:.1f} | {own / full:.1%} |" for name, full, own in compared)
    errors = [f"{error:.1e} of the largest weight at ridge {reg:g}" for reg, error in numbers["float32"].items()]
    page = TEXT.format_map({
        **skew, **setting, **numbers, "rows": rows, "limit": LIMIT, "tolerance": TOLERANCE, "float32_error": FLOAT32_ERROR,
        "verdict": "holds" if night <= LIMIT * numbers["full fit"] else "does not hold",
        "float32": ", ".join(errors), "dense": sparse["dense"], "sparse": sparse["sparse"], "kept": sparse["kept"],
        "num_neighbors": sparse["num_neighbors"], "sparse_users": sparse["num_users"],
        "sparse_items": sparse["num_items"],
    })  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
