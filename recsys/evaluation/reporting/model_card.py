"""The page of a model version: verdict with its numbers, slices, behaviours, examples, data, weights and limits.

References:
    Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recsys.evaluation.gate.comparisons import EXPOSURE, FEEDBACK
from recsys.evaluation.gate.decide import Verdict
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.margins import AbsoluteMargin, margin_from_dict, signed
from recsys.evaluation.reporting.tables import accuracy_table, behaviour_table, lists_table, markdown_table, with_room
from recsys.foreign_text import in_markdown

PAGE_LIMIT = 5_000  # characters: what MLflow keeps of a version's description
WHOLE_CARD = "_The whole card is `evaluation/model_card.md` among the run's artifacts._"
WINDOWS = {"holdout": "this holdout", "pooled": "with those of earlier verdicts"}
OF_DISLIKES = {metric.title for metric in FEEDBACK}
EXAMPLES = "What users are given, and why"
NUM_FEW = 6  # slices on a page that has no room for all
OUTCOMES = {
    "better": "significantly better",
    "not_worse": "not worse",
    "worse": "significantly worse",
    "not_significantly_worse": "not significantly worse",
    "too_small": "too few users",
}


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside verdict and evidence.

    Attributes:
        about: a first sentence: which fit this is, through when, of which run.
        data: label -> value: training set, digest, half-life, why it was forced.
        params: of the fit; those that begin with `head_` are the weights of the terms.
        examples: sentences: what a user is given, and why.
        behaviour: results of behaviour tests: `name`, `passed`, `detail`.
        input_example: rows of histories, as the model takes them; empty: not shown.
        model_uri: where MLflow finds the version.
    """

    about: str
    data: Mapping[str, str]
    params: Mapping[str, Any]
    examples: Sequence[str] = ()
    behaviour: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    input_example: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    model_uri: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a card, as markdown.

    Attributes:
        text: the whole.
        short: what a page says instead where the whole does not fit; None: that only goes if nothing else helps.
        gives_way: the higher, the earlier a page takes `short`.
    """

    text: str
    short: str | None = None
    gives_way: int = 0


def model_card(verdict: Verdict, evidence: Evidence, facts: CardFacts) -> list[Section]:
    """The sections of the card, what matters most first."""
    numbers, examples = verdict.numbers, [in_markdown(sentence) for sentence in facts.examples]
    sections = [
        Section(f"{facts.about}\n\n{_verdict(verdict, evidence)}"),
        Section(_metrics(numbers)),
        Section(_exposure(numbers.get("exposure", {}).get("findings", [])), "", 5),
        Section(_section("All systems on the holdout", accuracy_table(evidence))),
        Section(_slices(numbers.get("slices", [])), _few_slices(numbers.get("slices", [])), 2),
        Section(_behaviour(facts.behaviour), _behaviour_in_short(facts.behaviour), 3),
        Section(_list(EXAMPLES, examples), _list(EXAMPLES, examples[:1]), 1),
        Section(_fit(facts)),
        Section(_limits(verdict, facts)),
        Section(_usage(facts), _usage(facts, 1), 6),
        Section(_section("What the lists are like", lists_table(evidence)), "", 4),
    ]
    return [section for section in sections if section.text]


def as_text(sections: Iterable[Section]) -> str:
    """The whole card."""
    return "\n\n".join(section.text for section in sections)


def as_page(sections: Sequence[Section], limit: int = PAGE_LIMIT) -> str:
    """The card as one text of at most `limit` characters: shorter where it must be, and then that is said."""
    texts = [section.text for section in sections]
    giving_way = sorted(
        (n for n, one in enumerate(sections) if one.short is not None), key=lambda n: -sections[n].gives_way
    )
    page = with_room("\n\n".join(texts))
    for n in giving_way:
        if len(page) <= limit:
            break
        texts[n] = sections[n].short or ""
        page = with_room("\n\n".join([*filter(None, texts), WHOLE_CARD]))
    while len(page) > limit and len(texts) > 1:
        texts.pop()
        page = with_room("\n\n".join([*filter(None, texts), WHOLE_CARD]))
    return page[:limit]


def _verdict(verdict: Verdict, evidence: Evidence) -> str:
    holdout = f"{evidence.fit_through:%Y-%m-%d %H:%M} to {evidence.as_of:%Y-%m-%d %H:%M} UTC"
    reasons = "\n".join(f"- {in_markdown(reason)}" for reason in verdict.reasons)
    kind = evidence.kind.replace("_", " ")
    claim = f"accuracy {_claim(verdict)}"
    return f"**Verdict: {verdict.verdict.replace('_', ' ')}** ({kind}, {claim}; holdout {holdout})\n\n{reasons}"


def _claim(verdict: Verdict) -> str:
    """What may be said of accuracy; where that is nothing, why: a gain may be shown beside it."""
    if verdict.claim != "unknown":
        return OUTCOMES[verdict.claim]
    numbers = verdict.numbers
    if numbers.get("leaks") or numbers.get("implausible_gain"):
        return "inconclusive: the numbers may be those of a leak"
    ndcg = numbers.get("metrics", {}).get("ndcg_at_10")
    return "inconclusive: no user liked a holdout item" if ndcg is None else _not_judged(ndcg, numbers)


def _not_judged(found: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
    """Why the outcome of a metric is `unknown`: too few users, or an interval that is too wide."""
    gate, num_users = numbers.get("gate", {}), found["num_users"]
    least = gate.get("min_users_with_dislikes" if found["title"] in OF_DISLIKES else "min_users", 0)
    if num_users < least:
        return f"inconclusive: {num_users} {'user' if num_users == 1 else 'users'}, needs {least}"
    return "inconclusive: the interval is too wide"


def _metrics(numbers: Mapping[str, Any]) -> str:
    """A row per metric that was compared."""
    against, rows = str(numbers.get("comparator", "champion")).replace("_", " "), []
    for name, found in numbers.get("metrics", {}).items():
        margin = margin_from_dict(found["margin"])
        allowed = signed(margin, "-" if found["higher_is_better"] else "+")
        if name == EXPOSURE.name:
            allowed = "no significant rise"
        rows.append([
            found["title"], _number(found["challenger"]), _number(found["comparator"]),
            _change(found["change"], isinstance(margin, AbsoluteMargin)), allowed, str(found["num_users"]),
            _not_judged(found, numbers) if found["outcome"] == "unknown" else _outcome(found["outcome"]),
        ])  # fmt: skip
    return _table(
        f"Against the {against}", ["metric", "this", against, "change (interval)", "allowed", "users", "outcome"], rows
    )


def _exposure(findings: Iterable[Mapping[str, Any]]) -> str:
    """A row per window over which dislike exposure was evaluated."""
    rows = [
        [WINDOWS[one["window"]],
         _change(one["change"], "absolute" in one["margin"]), f"{one['num_worse']} / {one['num_better']}",
         f"{one['adjusted_p_value']:.4f}", *_mix(one["likes_per_dislike"]), "refuses" if one["refuses"] else "passes"]
        for one in findings
    ]  # fmt: skip
    head = [
        "opinions", "change (interval)", "users worse / better off", "p", "likes per dislike", "of the other",
        "change (interval)", "outcome",
    ]  # fmt: skip
    return _table("Dislike exposure@10, and likes per dislike among listed items that users met", head, rows)


def _mix(mix: Mapping[str, Any] | None) -> list[str]:
    if mix is None:
        return ["-", "-", "-"]
    return [f"{mix['challenger']:.2f}", f"{mix['comparator']:.2f}", _change(mix["change"], False)]


def _slices(slices: Iterable[Mapping[str, Any]]) -> str:
    """A row per slice that has users."""
    rows = [
        [in_markdown(f"{one['dimension']}: {one['slice']}"), str(one["num_users"]), _number(one["challenger"]),
         _number(one["comparator"]), _outcome(one["outcome"])]
        for one in slices if one["num_users"]
    ]  # fmt: skip
    return _table("NDCG@10 by slice", ["slice", "users", "this", "other", "outcome"], rows)


def _few_slices(slices: Sequence[Mapping[str, Any]]) -> str:
    """The slices that lost most, of those that were evaluated."""
    judged = [one for one in slices if one["num_users"] and one["outcome"] != "too_small"]
    lost_most = sorted(judged, key=lambda one: one["challenger"] - one["comparator"])[:NUM_FEW]
    if not lost_most:
        return _list("NDCG@10 by slice", [f"None of {len(slices)} slices has enough users to be evaluated."])
    return f"{_slices(lost_most)}\n\nThe {len(lost_most)} of {len(judged)} evaluated slices that lost most, or gained least."


def _behaviour(results: Sequence[Mapping[str, Any]]) -> str:
    return _section("Behaviour tests", behaviour_table(results)) if results else ""


def _behaviour_in_short(results: Sequence[Mapping[str, Any]]) -> str:
    """What failed, with its example; the others by their names."""
    passed = [f"{one['name']}" for one in results if one["passed"] and one.get("claimed", True)]
    failed = _behaviour([one for one in results if not one["passed"]])
    unclaimed = _unclaimed(results)
    also = f" Not claimed: {', '.join(unclaimed)}." if unclaimed else ""
    return f"{failed or '### Behaviour tests'}\n\n{len(passed)} of {len(results)} passed: {', '.join(passed)}.{also}"


def _unclaimed(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Behaviour tests of what the model does not claim."""
    return [str(one["name"]) for one in results if not one.get("claimed", True)]


def _fit(facts: CardFacts) -> str:
    weights = {name[5:]: value for name, value in facts.params.items() if name.startswith("head_")}
    shown = ", ".join(f"{name} {value:.3g}" for name, value in weights.items() if isinstance(value, float) and value)
    names = ("candidate", "reg", "transition_reg", "num_items", "num_linked", "seed")
    settings = ", ".join(f"{name} {facts.params[name]}" for name in names if name in facts.params)
    rows = [[name, value] for name, value in facts.data.items()]
    return _table("Data and fit", ["", ""], [*rows, ["settings", settings], ["weights of the terms", shown]])


def _usage(facts: CardFacts, num_rows: int | None = None) -> str:
    """An input example, or its first rows, and the call that takes it."""
    if not facts.input_example:
        return ""
    call = f'mlflow.pyfunc.load_model("{facts.model_uri}").predict(histories, params={{"k": 10}})'
    head = list(facts.input_example[0])
    shown = [[in_markdown(str(row[name])) for name in head] for row in facts.input_example[:num_rows]]
    rows = markdown_table(head, shown)
    return f"### Input example\n\n`{call}`, with `histories` such as\n{rows}".rstrip()


def _limits(verdict: Verdict, facts: CardFacts) -> str:
    numbers, params = verdict.numbers, facts.params
    metrics = numbers.get("metrics", {}).values()
    unsure = [found["title"] for found in metrics if found["outcome"] == "unknown"]
    said = [
        f"Evaluated on {numbers.get('num_users', 0)} users with a liked holdout item, "
        f"{numbers.get('num_users_with_dislikes', 0)} with a disliked one: other users were not evaluated.",
        "Users without a history are given what is popular.",
    ]
    if "num_linked" in params:
        said.append(
            f"{params['num_linked']} of {params['num_items']} items have been liked often enough to be linked to others."
        )
    if _unclaimed(facts.behaviour):
        said.append("Its contributions are not claimed to sum to its scores: no reason says what a score is made of.")
    if unsure:
        said.append(f"Not enough evidence to say whether these got worse: {', '.join(unsure)}.")
    return _list("Limits", said)


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return _section(title, markdown_table(header, rows) if rows else "")


def _section(title: str, content: str) -> str:
    """Content that begins with its blank line under a title; nothing without content."""
    return f"### {title}\n{content}".rstrip() if content else ""


def _list(title: str, sentences: Sequence[str]) -> str:
    return "\n".join([f"### {title}", "", *(f"- {sentence}" for sentence in sentences)]) if sentences else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _change(change: Mapping[str, float | None], is_absolute: bool) -> str:
    mean, low, high = (
        "-" if change[end] is None else f"{change[end]:{'+.4f' if is_absolute else '+.1%'}}"
        for end in ("mean", "low", "high")
    )
    return mean if low == high == "-" else f"{mean} ({low} to {high})"


def _outcome(outcome: str) -> str:
    return OUTCOMES.get(outcome, outcome.replace("_", " "))
