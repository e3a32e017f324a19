"""What does `refeed prepare` take for 98M ratings, against DuckDB merely reading and counting the same files?

    python benchmarks/prepare.py SOURCE… [--memory 2GB] [--keep STORE]

A SOURCE is a Parquet table or a folder of the Netflix Prize (`refeed simulate` makes both). Each runs in a
process of its own under `--memory`, so that the peak resident set is its own. Counting is
`SELECT count(*)` with a hash of every value, so that Parquet's statistics don't answer it, by DuckDB with the
same limit; of a Netflix folder it skips the movies' lines and reads the others as CSV. Seconds are those on
the clock and those of the processors: on a busy machine only the latter mean much. A store is written beside
its source and removed again; --keep names a place for the last one.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

COUNT = """
import duckdb, sys
with duckdb.connect() as db:
    db.execute("SET enable_progress_bar = false")
    db.execute("SET memory_limit = $m", {"m": sys.argv[2]})
    place = sys.argv[1].replace("'", "''")
    if place.endswith(".parquet"):
        db.execute(f"SELECT count(*), bit_xor(hash(COLUMNS(*))) FROM '{place}'").fetchall()
    else:
        db.execute(f'''
            SELECT count(*), bit_xor(hash(COLUMNS(*))) FROM read_csv('{place}/**/mv_*.txt', skip = 1,
                header = false, auto_detect = false, quote = '', escape = '',
                columns = {{'user': 'INTEGER', 'rating': 'TINYINT', 'day': 'DATE'}})
        ''').fetchall()
"""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds on the clock and of the processors (in all), and its peak resident set."""

    seconds: float
    cpu_seconds: float
    peak_gb: float


def cost(command: list[str]) -> tuple[Cost, str]:
    """What a process took, and what it printed."""
    report = (
        "import resource, subprocess, sys; "
        "r = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE, text=True); "
        "u = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(r.stdout, end=''); print(u.ru_utime + u.ru_stime, u.ru_maxrss)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", report, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds = time.perf_counter() - started
    *said, figures = done.stdout.splitlines()
    cpu, peak = map(float, figures.split())
    return Cost(seconds, cpu, peak / 1e6), "\n".join(said)


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
            counting, _ = cost([sys.executable, "-c", COUNT, str(source), options.memory])
            out = Path(scratch) / "store"
            command = [sys.executable, "-m", "refeed", "prepare", str(source), "--out", str(out)]
            preparing, said = cost([*command, "--memory", options.memory])
            print(said)
            if options.keep and number == len(options.sources) - 1:
                shutil.move(out, options.keep)
        rows.append((source.name, counting, preparing))
    print(f"{'':20}{'count':>8}{'prepare':>9}{'ratio':>8}{'CPU: count':>14}{'prepare':>9}{'ratio':>8}  peak")
    for name, counting, preparing in rows:
        clock, cpu = (counting.seconds, preparing.seconds), (counting.cpu_seconds, preparing.cpu_seconds)
        print(
            f"{name:20}{clock[0]:6.1f} s{clock[1]:7.1f} s{clock[1] / clock[0]:8.1f}  "
            f"{cpu[0]:10.1f} s{cpu[1]:7.1f} s{cpu[1] / cpu[0]:8.1f}  {preparing.peak_gb:.2f} GB"
        )
    results = [
        {"source": name, "count": asdict(counting), "prepare": asdict(preparing)}
        for name, counting, preparing in rows
    ]
    print(json.dumps({"benchmark": "prepare", "memory": options.memory, "results": results}))


if __name__ == "__main__":
    main()
