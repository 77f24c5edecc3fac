"""Sums carried from night to night are those of a rebuild, whatever came, went or became linked in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import DigestError, InputError, NotFoundError
from recsys.training.dataset.events import Events
from recsys.training.families.additive.fit_data import FitData
from recsys.training.families.additive.linked.items import LinkedItems
from recsys.training.families.additive.linked.state import TOLERANCE, LinkedState
from recsys.training.families.additive.linked.state_files import load_state, save_state
from recsys.training.recipe.recipe import FitConfig

START = datetime(2024, 1, 1, tzinfo=UTC)
HALF_LIFE_DAYS = 10.0
CONFIG = FitConfig(min_support=2, max_linked=9, max_user_share=0.15)
SPARSE = replace(CONFIG, max_linked=12, max_dense=9)  # sums are sparse while more than nine items are linked
ITEMS = pd.DataFrame({
    "item_id": [f"i{n:02d}" for n in range(14)], "title": "", "genres": [()] * 14, "cast": [()] * 14, "franchise": None,
})  # fmt: skip
MATRICES = ("gram", "dislike_gram", "past_past", "past_future")


def stream(num_days: int, per_day: int, seed: int) -> pd.DataFrame:
    """One row per user and item; times in whole hours, so that many fall together."""
    rng = np.random.default_rng(seed)
    number = num_days * per_day
    table = pd.DataFrame({
        "user_id": [f"u{n:02d}" for n in rng.integers(0, 22, number) ** 2 // 21],
        "item_id": [f"i{n:02d}" for n in rng.integers(0, 14, number) ** 2 // 13],
        "signal": rng.choice(["like", "dislike", "neutral"], number, p=[0.6, 0.2, 0.2]),
        "occurred_at": START + pd.to_timedelta(rng.integers(0, num_days * 24, number), unit="h"),
    })  # fmt: skip
    return table.drop_duplicates(["user_id", "item_id"], ignore_index=True)


def data_as_of(table: pd.DataFrame, day: int, config: FitConfig = CONFIG) -> FitData:
    cut_off = START + timedelta(days=day)
    table = table[table["occurred_at"] <= cut_off]
    is_like, has_opinion = table["signal"] == "like", table["signal"] != "neutral"
    examples = table.assign(label=is_like.astype(int), base_weight=np.where(is_like, 1.0, 0.8), reason="")
    return FitData.build(examples[has_opinion], table[~has_opinion], ITEMS, cut_off, HALF_LIFE_DAYS, config)


def rebuilt(data: FitData, decay_power: float = 1.0, config: FitConfig = CONFIG) -> LinkedState:
    return LinkedState.rebuild(data.events, data.num_linked, decay_power, config)


def as_array(matrix: object) -> np.ndarray:
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


@given(
    seed=st.integers(0, 10_000),
    decay_power=st.sampled_from([0.0, 1.0]),
    config=st.sampled_from([CONFIG, SPARSE]),
    nights=st.lists(st.tuples(st.integers(0, 12), st.sets(st.integers(0, 20), max_size=2)), min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_nights_end_at_the_sums_of_a_rebuild(
    seed: int, decay_power: float, config: FitConfig, nights: list[tuple[int, set[int]]]
) -> None:
    """Every night some days pass and some users are erased; items become linked, and cease to be."""
    table, day = stream(60, 4, seed), 8
    state = rebuilt(data_as_of(table, day, config), decay_power, config)
    for days, erased in nights:
        day += days
        table = table[~table["user_id"].isin([f"u{number:02d}" for number in erased])]
        data = data_as_of(table, day, config)
        state = state.advanced(data.events, data.num_linked, config)
        again = rebuilt(data, decay_power, config)
        assert isinstance(state.sums.gram, np.ndarray) == (data.num_linked <= config.max_dense)
        assert state.difference(again) < TOLERANCE
        counted = LinkedItems.count(data.events, data.num_linked, decay_power, config)
        for name in MATRICES:
            found, expected = (as_array(getattr(one, name)) for one in (state.linked_items(), counted))
            np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * 100)


def test_sixty_nights_do_not_drift() -> None:
    table = stream(70, 6, seed=1)
    state = rebuilt(data_as_of(table, 10))
    for day in range(11, 71):
        data = data_as_of(table, day)
        state = state.advanced(data.events, data.num_linked, CONFIG)
    assert state.difference(rebuilt(data)) < TOLERANCE


def test_only_who_did_something_is_touched() -> None:
    config = replace(CONFIG, max_user_share=1.0)
    table = stream(30, 10, seed=2)
    before, after = data_as_of(table, 28, config), data_as_of(table, 30, config)
    state = LinkedState.rebuild(before.events, before.num_linked, 1.0, config)
    is_new = table["occurred_at"] > START + timedelta(days=28)
    num_active = table.loc[is_new & (table["occurred_at"] <= START + timedelta(days=30)), "user_id"].nunique()
    assert set(after.events.item_ids[: after.num_linked]) == set(state.item_ids)
    assert state.advanced(after.events, after.num_linked, config).num_touched == num_active > 0
    assert state.advanced(before.events, before.num_linked, config).num_touched == 0


def test_a_night_may_lie_before_the_last_one() -> None:
    """Validation asks for what was known before its windows."""
    table = stream(40, 6, seed=3)
    data = data_as_of(table, 40)
    past = data.events.before(7.25)
    found = rebuilt(data).advanced(past, data.num_linked, CONFIG).linked_items()
    for name in MATRICES:
        expected = getattr(LinkedItems.count(past, data.num_linked, 1.0, CONFIG), name)
        np.testing.assert_allclose(getattr(found, name), expected, rtol=0, atol=TOLERANCE)


def test_an_erased_user_was_never_there() -> None:
    table = stream(30, 8, seed=4)
    config = replace(CONFIG, max_user_share=1.0, min_support=0, max_linked=14)
    data = data_as_of(table, 30, config)
    state = LinkedState.rebuild(data.events, data.num_linked, 1.0, config)
    user_id = str(table["user_id"].mode()[0])
    without = data_as_of(table[table["user_id"] != user_id], 30, config)
    gone = state.without_user(user_id)
    assert user_id not in gone.user_ids
    assert gone.difference(state) > 1e-3
    advanced = gone.advanced(without.events, without.num_linked, config)
    assert advanced.num_touched == 0
    assert advanced.difference(LinkedState.rebuild(without.events, without.num_linked, 1.0, config)) < TOLERANCE
    assert gone.without_user("nobody") is gone


@pytest.mark.parametrize("config", [CONFIG, SPARSE], ids=["dense", "sparse"])
def test_a_state_is_read_as_it_was_written(config: FitConfig, tmp_path: Path) -> None:
    table = stream(30, 8, seed=5)
    earlier, data = data_as_of(table, 20, config), data_as_of(table, 30, config)
    state = rebuilt(earlier, config=config)
    save_state(state, tmp_path / "state")
    found = load_state(tmp_path / "state")
    assert found.settings == state.settings
    assert (found.as_of, found.landmark, found.num_touched) == (state.as_of, state.landmark, state.num_touched)
    ours, theirs = (one.advanced(data.events, data.num_linked, config) for one in (state, found))
    assert ours.num_touched == theirs.num_touched
    assert ours.difference(theirs) == 0.0


@pytest.mark.parametrize("name", ["gram.npy", "terms.parquet", "users.parquet"])
@pytest.mark.parametrize("way", ["half", "edited", "empty"])
def test_a_state_whose_bytes_are_not_those_that_were_written_is_refused(tmp_path: Path, name: str, way: str) -> None:
    save_state(rebuilt(data_as_of(stream(10, 8, seed=6), 10)), tmp_path / "state")
    file = tmp_path / "state" / name
    content = file.read_bytes()
    half = len(content) // 2
    file.write_bytes(
        {"half": content[:half], "edited": content[:half] + b"##" + content[half + 2 :], "empty": b""}[way]
    )
    with pytest.raises(DigestError, match=rf"{name} with .* Rebuild the state"):
        load_state(tmp_path / "state")


@pytest.mark.parametrize("length", [0, 40])
def test_a_state_whose_description_was_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    save_state(rebuilt(data_as_of(stream(10, 8, seed=6), 10)), tmp_path / "state")
    file = tmp_path / "state" / "state.json"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(InputError, match=r"state\.json .* cannot be read"):
        load_state(tmp_path / "state")


def test_a_state_that_is_missing_torn_or_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="found none: rebuild"):
        load_state(tmp_path / "state")
    save_state(rebuilt(data_as_of(stream(10, 8, seed=6), 10)), tmp_path / "state")
    (tmp_path / "state" / "gram.npy").unlink()
    with pytest.raises(DigestError, match=r"gram\.npy .* got no such file.* Rebuild"):
        load_state(tmp_path / "state")
    (tmp_path / "state" / "state.json").write_text('{"format": 0}', encoding="utf-8")
    with pytest.raises(InputError, match=r"format 1 .* got 0"):
        load_state(tmp_path / "state")


@pytest.mark.parametrize(
    ("config", "half_life_days", "message"),
    [
        (replace(CONFIG, dislike_signal=0.4), HALF_LIFE_DAYS, "Expected recipe"),
        (replace(CONFIG, seed=1), HALF_LIFE_DAYS, "Expected seed 1, got a state with 0"),
        (CONFIG, 11.0, "Expected recipe"),
        (CONFIG, HALF_LIFE_DAYS, "within 200 half-lives of the last rebuild, got one 300 away"),
    ],
)
def test_a_state_of_other_settings_is_refused(config: FitConfig, half_life_days: float, message: str) -> None:
    data = data_as_of(stream(20, 8, seed=7), 20)
    state = rebuilt(data)
    nights = 3_000 if "300" in message else 1
    events: Events = replace(
        data.events, half_life_days=half_life_days, as_of=data.events.as_of + timedelta(days=nights)
    )
    assert not state.can_advance(events, 1.0, config)
    with pytest.raises(InputError, match=message):
        state.advanced(events, data.num_linked, config)


def test_states_of_different_nights_are_not_compared() -> None:
    table = stream(20, 8, seed=8)
    with pytest.raises(InputError, match="advance and rebuild from the same events"):
        rebuilt(data_as_of(table, 20)).difference(rebuilt(data_as_of(table, 19)))
