"""Make the packaged sample: MovieLens latest-small, from the official folder or zip to Parquet.

    .venv/bin/python scripts/make_sample.py ml-latest-small.zip

Ids stay strings and rows keep their order, so the same input gives the same tables.
"""

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import duckdb

SAMPLE = Path(__file__).resolve().parent.parent / "src/refeed/ratings/sample"
TABLES = {
    "ratings": 'userId AS "user", movieId AS item, rating::FLOAT AS rating, timestamp::BIGINT AS timestamp',
    "movies": "movieId AS item, title",
}


def make_sample(source: Path, out: Path) -> None:
    """Write ratings.parquet, movies.parquet and GroupLens's README.txt.

    Args:
        source: the folder that holds ratings.csv, movies.csv and README.txt.
        out: the folder to write to; files of those names are replaced.
    """
    with duckdb.connect() as db:
        for table, columns in TABLES.items():
            rows = f"SELECT {columns} FROM read_csv('{source / table}.csv', header=true, all_varchar=true)"
            db.execute(f"COPY ({rows}) TO '{out / table}.parquet' (FORMAT parquet, COMPRESSION zstd)")
    shutil.copyfile(source / "README.txt", out / "README.txt")


def main(source: Path) -> None:
    """Unpack a zip if it is one, and make the sample."""
    if source.is_dir():
        make_sample(source, SAMPLE)
        return
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(source) as archive:
        archive.extractall(scratch)
        make_sample(next(Path(scratch).glob("**/ratings.csv")).parent, SAMPLE)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_sample.py FOLDER_OR_ZIP")
    main(Path(sys.argv[1]))
