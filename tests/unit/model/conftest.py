from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from recsys.model.recommender import Recommender
from tests.unit.recommenders import make_histories, make_recommender


@pytest.fixture(scope="session")
def recommender() -> Recommender:
    return make_recommender()


@pytest.fixture(scope="session")
def adjusting(recommender: Recommender) -> Recommender:
    """The random recommender, its items with cast and franchise too."""
    catalog = recommender.catalog.assign(
        cast=[("Ann",) if n % 3 == 0 else ("Bob", "Cid") for n in range(len(recommender.catalog))],
        franchise=["Robots" if n % 5 == 0 else None for n in range(len(recommender.catalog))],
    )
    return replace(recommender, catalog=catalog)


@pytest.fixture(scope="session")
def random_histories() -> Callable[..., pd.DataFrame]:
    return make_histories
