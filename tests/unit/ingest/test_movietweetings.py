"""MovieTweetings files, hand-made and shipped."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.ingest.movietweetings import read_movietweetings
from recsys.ingest.parsed import Thresholds
from recsys.records import Item

SHIPPED = Path(__file__).resolve().parents[3] / "data" / "movietweetings"
MOVIES = "0000001::Carmencita (1894)::Documentary|Short\n0000002::Le clown (1892)::\n"


def folder(tmp_path: Path, ratings: str, movies: str = MOVIES) -> Path:
    (tmp_path / "ratings.dat").write_text(ratings, encoding="utf-8")
    (tmp_path / "movies.dat").write_text(movies, encoding="utf-8")
    return tmp_path


def test_rows_become_likes_dislikes_and_seen(tmp_path: Path) -> None:
    ratings = "7::0000001::8::1362062300\n7::0000002::5::1362062200\n8::0000001::7::1362062100\n"
    parsed = read_movietweetings(folder(tmp_path, ratings))
    feedback = parsed.feedback
    assert feedback[["user_id", "item_id", "value", "signal", "kind"]].values.tolist() == [
        ["8", "0000001", 7.0, "seen", "rating"],
        ["7", "0000002", 5.0, "dislike", "rating"],
        ["7", "0000001", 8.0, "like", "rating"],
    ]
    assert feedback["occurred_at"][0] == datetime(2013, 2, 28, 14, 35, tzinfo=UTC)
    assert (feedback["recorded_at"] == feedback["occurred_at"]).all()
    assert parsed.items["0000001"] == Item(
        "0000001", "Carmencita", ("Documentary", "Short"), release_year=1894, imdb_id="tt0000001"
    )
    assert parsed.items["0000002"].genres == ()


def test_own_thresholds(tmp_path: Path) -> None:
    ratings = "7::0000001::8::1362062300\n7::0000002::5::1362062200\n"
    parsed = read_movietweetings(folder(tmp_path, ratings), Thresholds(like_at_least=9, dislike_at_most=4))
    assert parsed.feedback["signal"].tolist() == ["seen", "seen"]


def test_every_kind_of_bad_row_has_its_line_and_reason(tmp_path: Path) -> None:
    ratings = [
        "7::0000001::8::1362062300",
        "x::0000001::8::1362062300",
        "7::tt0000001::8::1362062300",
        "7::0000001::11::1362062300",
        "7::0000001::::1362062300",
        "7::0000001::8::yesterday",
        "7::0000001::8",
        "7::0000001::3::1362062300",
        "7::0000001::8::1362062300",
    ]
    parsed = read_movietweetings(folder(tmp_path, "\n".join(ratings), MOVIES + "0000003::::Drama\n"))
    refused = parsed.files[1].refused
    assert [(row.line, row.reason.split(",")[0]) for row in refused.first] == [
        (2, "user_id is not a number"),
        (3, "item_id is not a number"),
        (4, "rating is not a number from 0 to 10"),
        (5, "rating is missing"),
        (6, "seconds is not unix seconds between March 1973 and 2100"),
        (7, "3 fields instead of 4"),
        (8, "contradicts line 1: same user"),
    ]
    assert (parsed.num_bad, len(parsed.feedback)) == (8, 1)
    with pytest.raises(InputError) as caught:
        parsed.require_good()
    message = str(caught.value)
    assert "movies.dat: 1 of 3 rows cannot be imported.\nexpected: item::title (year)::genres, such as" in message
    assert "line 3: title is missing" in message
    assert "ratings.dat: 7 of 9 rows" in message
    assert "line 4: rating is not a number from 0 to 10, came '11'" in message
    assert message.endswith("--skip-bad-rows.")


def test_the_message_shows_the_first_twenty_and_the_total(tmp_path: Path) -> None:
    parsed = read_movietweetings(folder(tmp_path, "x::0000001::8::1362062300\n" * 1_234))
    with pytest.raises(InputError) as caught:
        parsed.require_good()
    assert str(caught.value).count("  line ") == 20
    assert "1,234 of 1,234 rows" in str(caught.value)
    assert "... and 1,214 more" in str(caught.value)


def test_missing_folder_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)movies\.dat.*no such file"):
        read_movietweetings(tmp_path / "nowhere")


@pytest.mark.parametrize(("like", "dislike"), [(5, 5), (4, 5), (float("nan"), 1), (5, float("nan"))])
def test_thresholds_that_overlap(like: float, dislike: float) -> None:
    with pytest.raises(InputError, match="--dislike-at-most < --like-at-least"):
        Thresholds(like, dislike)


def test_the_shipped_stream() -> None:
    parsed = read_movietweetings(SHIPPED)
    assert parsed.num_bad == 0
    assert (len(parsed.items), len(parsed.feedback)) == (8_794, 70_000)
    assert parsed.feedback["signal"].value_counts().to_dict() == {"like": 35_677, "seen": 24_365, "dislike": 9_958}
    assert parsed.feedback["occurred_at"].is_monotonic_increasing
    assert all(item.release_year for item in parsed.items.values())
    assert parsed.feedback["item_id"].isin(list(parsed.items)).all()


RATING = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10), st.integers(1_362_000_000, 1_362_000_999))


@given(rows=st.lists(RATING, min_size=1, max_size=30, unique_by=lambda row: (row[0], row[1], row[3])))
def test_ratings_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, int]]) -> None:
    ratings = "".join("::".join(map(str, row)) + "\n" for row in rows)
    parsed = read_movietweetings(folder(tmp_path_factory.mktemp("stream"), ratings))
    back = [
        (int(row.user_id), int(row.item_id), int(row.value), int(row.occurred_at.timestamp()))
        for row in parsed.feedback.itertuples()
    ]
    assert sorted(back) == sorted(rows)
    assert [row[3] for row in back] == sorted(row[3] for row in rows)


@given(lines=st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=40), max_size=10))
def test_any_text_is_imported_or_refused_but_never_lost(tmp_path_factory: pytest.TempPathFactory, lines) -> None:
    good = "7::0000001::8::1362062300"
    parsed = read_movietweetings(folder(tmp_path_factory.mktemp("any"), "\n".join([good, *lines])))
    ratings = parsed.files[1]
    assert len(parsed.feedback) + ratings.refused.num_rows <= ratings.num_rows
    assert len(parsed.feedback) >= 1
