"""MovieLens latest-small (release of October 2016), shipped with refeed to try things on real ratings.

The data are GroupLens's, not ours: README.txt beside this file is theirs and holds the conditions of use (no
commercial use without their permission) and the paper to cite. `scripts/make_sample.py` made the tables.
"""

from importlib import resources

import duckdb

from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

__all__ = ["load_sample"]


def load_sample() -> Ratings:
    """MovieLens latest-small: 100,004 ratings (0.5 to 5 stars) of 9,066 movies by 671 users, 1995 to 2016.

    Users and items keep the order of GroupLens's files; titles and times (Unix seconds) are in.
    """
    with resources.as_file(resources.files(__name__)) as folder, duckdb.connect() as db:
        columns = db.read_parquet(str(folder / "ratings.parquet")).fetchnumpy()
        movies = db.read_parquet(str(folder / "movies.parquet")).fetchall()
    user_ids = Ids(dict.fromkeys(columns["user"]))
    item_ids = Ids(item for item, _ in movies)
    return Ratings.from_arrays(
        user_ids.positions(columns["user"]),
        item_ids.positions(columns["item"]),
        columns["rating"],
        times=columns["timestamp"],
        user_ids=user_ids,
        item_ids=item_ids,
        titles=[title for _, title in movies],
        source={"name": "MovieLens latest-small (2016-10)", "licence": "GroupLens; see its README.txt"},
    ).compact()
