"""What does `refeed prepare` take for 98M ratings, against DuckDB merely reading and counting the same files?

    python benchmarks/prepare.py SOURCE… [--memory 2GB] [--keep STORE]

A SOURCE is a Parquet table or a folder of the Netflix Prize (`refeed simulate` makes both). Each runs in a
process of its own under `--memory`, so that the peak resident set is its own. Counting is
`SELECT count(*), min, max …` over every column, by DuckDB with the same limit; of a Netflix folder it skips
the movies' lines and reads the others as CSV. A store is written beside its source and removed again; --keep
names a place for the last one.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT = """
import duckdb, sys
with duckdb.connect() as db:
    db.execute("SET enable_progress_bar = false")
    db.execute("SET memory_limit = $m", {"m": sys.argv[2]})
    place = sys.argv[1].replace("'", "''")
    if place.endswith(".parquet"):
        db.execute(f"SELECT count(*), min(COLUMNS(*)), max(COLUMNS(*)) FROM '{place}'").fetchall()
    else:
        db.execute(f'''
            SELECT count(*), min(COLUMNS(*)), max(COLUMNS(*)) FROM read_csv('{place}/**/mv_*.txt', skip = 1,
                header = false, auto_detect = false, quote = '', escape = '',
                columns = {{'user': 'INTEGER', 'rating': 'TINYINT', 'day': 'DATE'}})
        ''').fetchall()
"""


def timed(command: list[str]) -> tuple[float, float, str]:
    """Seconds and peak resident set (GB) of a process, and what it printed."""
    report = (
        "import resource, subprocess, sys; "
        "r = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE, text=True); "
        "print(r.stdout, end=''); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", report, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds = time.perf_counter() - started
    *said, peak = done.stdout.splitlines()
    return seconds, int(peak) / 1e6, "\n".join(said)


def main() -> None:
    """Print a table and one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    rows = []
    for number, source in enumerate(options.sources):
        with tempfile.TemporaryDirectory(dir=source.parent, prefix=".benchmark") as scratch:
            counting, _, _ = timed([sys.executable, "-c", COUNT, str(source), options.memory])
            out = Path(scratch) / "store"
            command = [sys.executable, "-m", "refeed", "prepare", str(source), "--out", str(out)]
            seconds, peak, said = timed([*command, "--memory", options.memory])
            print(said)
            if options.keep and number == len(options.sources) - 1:
                shutil.move(out, options.keep)
        rows.append({"source": source.name, "count_s": counting, "prepare_s": seconds, "peak_gb": peak})
    print(f"{'source':20}{'count, s':>10}{'prepare, s':>12}{'ratio':>8}{'peak RSS, GB':>14}")
    for row in rows:
        ratio = row["prepare_s"] / row["count_s"]
        print(
            f"{row['source']:20}{row['count_s']:10.1f}{row['prepare_s']:12.1f}{ratio:8.1f}{row['peak_gb']:14.2f}"
        )
    print(json.dumps({"benchmark": "prepare", "memory": options.memory, "results": rows}))


if __name__ == "__main__":
    main()
