"""Bursts of dislikes: what is flagged, and what is honest."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recsys.feedback.brigading import BrigadingConfig, Opinion, find_bursts

START = datetime(2024, 5, 1, tzinfo=UTC)
CONFIG = BrigadingConfig()


def dislikes(item: str, count: int, minutes: float, first: int = 0, same_user: bool = False) -> list[Opinion]:
    return [
        Opinion("u" if same_user else f"u{first + n}", item, START + timedelta(minutes=minutes * n), first + n)
        for n in range(count)
    ]


def likes(item: str, count: int, minutes: float) -> list[Opinion]:
    return [Opinion(f"l{n}", item, START + timedelta(minutes=minutes * (n + 1))) for n in range(count)]


def test_many_users_against_one_item_in_an_hour_are_flagged() -> None:
    (burst,) = find_bursts([*dislikes("x", 40, 1.5), *likes("x", 3, 20), *dislikes("y", 5, 1, 100)], 0.2, CONFIG)
    assert (burst.item_id, burst.num_users, burst.num_opinions) == (
        "x",
        40,
        42,
    )  # the third like came after the last dislike
    assert burst.dislike_ids == tuple(range(40))
    assert (burst.starts_at, burst.ends_at) == (START, START + timedelta(minutes=1.5 * 39))
    assert burst.p_value < CONFIG.max_p_value


def test_a_disputed_premiere_is_honest() -> None:
    assert find_bursts([*dislikes("x", 40, 1.5), *likes("x", 120, 0.5)], 0.2, CONFIG) == []


def test_as_many_over_weeks_are_honest() -> None:
    assert find_bursts(dislikes("x", 40, 24 * 60), 0.2, CONFIG) == []


def test_one_user_is_no_brigade() -> None:
    assert find_bursts(dislikes("x", 40, 1.5, same_user=True), 0.2, CONFIG) == []


def test_two_bursts_far_apart_are_two() -> None:
    later = [
        Opinion(o.user_id, o.item_id, o.recorded_at + timedelta(days=3), 100 + n)
        for n, o in enumerate(dislikes("x", 30, 1))
    ]
    found = find_bursts([*dislikes("x", 30, 1), *later], 0.2, CONFIG)
    assert [burst.num_users for burst in found] == [30, 30]


def test_a_stream_of_hardly_anything_but_dislikes_can_still_show_one() -> None:
    assert len(find_bursts(dislikes("x", 40, 1.5), 0.99, CONFIG)) == 1
    assert find_bursts(dislikes("x", 12, 1.5), 0.99, CONFIG) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 2), st.integers(0, 3_000), st.booleans()), min_size=1, max_size=120
    ),
    st.randoms(),
)
def test_bursts_do_not_overlap_and_the_order_of_opinions_does_not_matter(
    rows: list[tuple[int, int, int, bool]], random: object
) -> None:
    config = BrigadingConfig(window_hours=2, min_users=3, max_p_value=0.05)
    opinions = [
        Opinion(f"u{user}", f"i{item}", START + timedelta(minutes=minute), number if is_dislike else None)
        for number, (user, item, minute, is_dislike) in enumerate(rows)
    ]
    found = find_bursts(opinions, 0.3, config)
    shuffled = list(opinions)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert find_bursts(shuffled, 0.3, config) == found
    flagged = [number for burst in found for number in burst.dislike_ids]
    assert len(flagged) == len(set(flagged))
    for burst in found:
        assert burst.num_users >= config.min_users
        inside = {o.dislike_id for o in opinions if o.dislike_id is not None and o.item_id == burst.item_id
                  and burst.starts_at <= o.recorded_at <= burst.ends_at}  # fmt: skip
        assert set(burst.dislike_ids) <= inside
