"""Whether a rating at the end of the scale looks like a code for "not rated"."""

import duckdb

__all__ = ["hint_at_codes"]

_ENOUGH = 100
"""Ratings; of fewer, shares say little."""
_SHARE_APART, _SHARE_ZERO = 0.01, 0.2


def hint_at_codes(db: duckdb.DuckDBPyConnection, values: str) -> tuple[str, ...]:
    """A sentence for each end of the scale that looks like "not rated": −1 of 1 to 10, 99, many zeros.

    Such a value stands apart, further from the next one than that one from the one after it, and is
    frequent; or
    it is 0, below all others, and holds a fifth of all ratings.

    Args:
        db: the connection.
        values: a table with the column value.
    """
    found = []
    for nearest, compare in (("min", ">"), ("max", "<")):
        ends: list[float] = []
        for _ in range(3):
            beyond = f" WHERE value {compare} {ends[-1]!r}::FLOAT" if ends else ""
            value = db.execute(f"SELECT {nearest}(value) FROM {values}{beyond}").fetchall()[0][0]
            if value is None:
                return ()  # fewer than three values: likes and dislikes, say
            ends.append(value)
        end, second, third = ends
        total, at_end = db.execute(
            f"SELECT count(*), count(*) FILTER (WHERE value = {end!r}::FLOAT) FROM {values}"
        ).fetchall()[0]
        apart = abs(second - end) > 1.5 * abs(third - second) and at_end >= _SHARE_APART * total
        zeros = end == 0 and nearest == "min" and at_end >= _SHARE_ZERO * total
        if total >= _ENOUGH and (apart or zeros):
            found.append(
                f"{at_end:,} ratings ({at_end / total:.0%}) are {end:g}, "
                f"{'below' if nearest == 'min' else 'above'} "
                f'all others; if that means "not rated", leave them out with --missing {end:g}'
            )
    return tuple(found)
