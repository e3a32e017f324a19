"""A process that rates without end, and says so of each rating after it was taken: to be killed."""

import sys

from refeed.serve.store import RatingsStore


def main(database: str, first: int) -> None:
    store = RatingsStore.open(database)
    number = first
    while True:
        store.rate(f"user-{number % 7}", {f"item-{number}": number % 5 + 1.0})
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1


main(sys.argv[1], int(sys.argv[2]))
