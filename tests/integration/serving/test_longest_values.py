"""The longest values that the API takes are stored on both databases: no index entry grows beyond what one may hold."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint

from recsys.records import Item
from recsys.store.api_keys import Scope
from recsys.store.tables import metadata
from tests.integration.serving.live_api import Api, bearer, user_token

LIGATURE = "\ufdfa"  # one character whose compatibility form has eighteen
BTREE_LIMIT = 2_704  # bytes of an entry in PostgreSQL's index


def incompressible(length: int, seed: int, *, astral: bool = False) -> str:
    """Text of as many bytes a character as there can be, without repetitions that a database could pack."""
    random_ = random.Random(seed)
    first, last = (0x20000, 0x2A6D0) if astral else (0x4E00, 0x9FA0)
    return "".join(chr(random_.randrange(first, last)) for _ in range(length))


def expanding(length: int, seed: int) -> str:
    """A title of Chinese characters and ligatures, whose normal form is several times as long."""
    random_ = random.Random(seed)
    return "".join(LIGATURE if random_.random() < 0.5 else incompressible(1, seed + n) for n in range(length))


def longest(seed: int, **named: Any) -> dict[str, Any]:
    return {
        "genres": [incompressible(100, seed + n) for n in range(20)],
        "cast": [incompressible(100, seed + n) for n in range(50)],
        "feedback_text": incompressible(2000, seed),
        "reason": "wrong_genre",
        **named,
    }


def test_the_longest_dislikes_are_recorded_and_found_again(api: Api) -> None:
    titles = [expanding(500, 1), incompressible(500, 2, astral=True), LIGATURE * 500]
    for number, title in enumerate(titles):
        answers = [
            api.client.post(
                "/api/dislike", json=longest(number, movie_title=title),
                headers={**api.server("u" * 200), "Idempotency-Key": f"{number}".zfill(200)},
            )
            for _ in range(2)
        ]  # fmt: skip
        assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
        assert answers[0].json() == answers[1].json()
        assert len(answers[0].json()["item_id"]) <= 200, "an id that the API itself takes"
    items = [row for row in api.rows("items") if row["is_placeholder"]]
    assert len(items) == len(titles)
    assert {item["title"] for item in items} == set(titles)
    # The film comes, and what was said of its title becomes what was said of the film.
    api.store.catalog.upsert_items([Item("real", titles[0])])
    assert [row["item_id"] for row in api.rows("user_dislikes")].count("real") == 1


def test_the_longest_ids_of_a_user_and_an_item_are_stored_in_every_table(api: Api) -> None:
    user = incompressible(200, 3, astral=True)
    item = incompressible(200, 4, astral=True)
    own = bearer(user_token(user))
    dislike = api.client.post(
        "/api/dislike", json=longest(5, item_id=item), headers={**own, "Idempotency-Key": "~" * 200}
    )
    assert dislike.status_code == 201, dislike.text
    seen = {"interactions": [{"item_id": item, "kind": "rating", "value": 4.5}]}
    assert api.client.post("/api/interactions", json=seen, headers=own).status_code == 200
    catalog = api.key(Scope.CATALOG_WRITE)
    title = expanding(500, 6)
    values = {"title": title, "genres": longest(7)["genres"], "franchise": incompressible(100, 8)}
    answer = api.client.put(f"/api/items/{quote(item, safe='')}", json=values, headers=catalog)
    assert answer.status_code == 200, answer.text
    assert api.client.put(f"/api/exclusions/{quote(item, safe='')}", headers=own).status_code in {200, 201, 204}


def test_no_index_holds_text_without_a_bound() -> None:
    """Of what people send, only ids are in an index: the longest that the API takes fit together with what else is there."""
    most = {"user_id": 800, "item_id": 800, "idempotency_key": 200, "title_hash": 64}
    unbounded = {"title", "title_key", "movie_title", "feedback_text", "franchise", "pattern_value", "note", "reason"}
    for table in metadata.tables.values():
        constraints = [one for one in table.constraints if isinstance(one, PrimaryKeyConstraint | UniqueConstraint)]
        for key in [*table.indexes, *constraints]:
            names = [column.name for column in key.columns]
            assert not unbounded & set(names), (table.name, names)
            assert sum(most.get(name, 300) for name in names) < BTREE_LIMIT, (table.name, names)
