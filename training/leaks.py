"""Features that all but equal the target: known values, or an order, that tell the class."""

from __future__ import annotations

from collections.abc import Iterator

from training.profiles import Profile
from training.tables import Table, quoted

#: A feature that tells this share of what a guess of the commonest class gets wrong, tells the target.
LEAK = 0.99
#: Larger tables are judged by this many of their rows, drawn at random: a share of 0.99 is then known to within 0.001.
SAMPLE_ROWS = 200_000


def leaks(table: Table, class_sql: str, found: Profile) -> Iterator[str]:
    """The columns of `found` that tell the class; `class_sql` gives a row's class."""
    table.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE sample AS SELECT *, {class_sql} AS __class FROM source"  # nosec B608  # quoted names only
        f" WHERE {class_sql} IS NOT NULL USING SAMPLE reservoir({SAMPLE_ROWS} ROWS) REPEATABLE (7)"
    )
    classes = dict(table.rows("SELECT __class, count(*) FROM sample GROUP BY __class ORDER BY 2 DESC, 1"))
    if len(classes) < 2:
        return
    rows, guessed = sum(classes.values()), max(classes.values())
    for name, column in found.columns.items():
        told = _by_values(table, name) if column.distinct <= rows / 20 else 0
        if column.kind == "number" and len(classes) == 2:
            told = max(told, _by_order(table, name, min(classes, key=lambda each: classes[each])))
        if (told - guessed) / (rows - guessed) >= LEAK:
            yield name


def _by_values(table: Table, name: str) -> int:
    """Rows whose class is right when each value of the column stands for its commonest class."""
    query = (
        f"SELECT sum(best) FROM (SELECT max(n) AS best FROM (SELECT {quoted(name)} AS value, __class, count(*) AS n"  # nosec B608  # quoted
        " FROM sample GROUP BY value, __class) GROUP BY value)"
    )
    return int(table.rows(query)[0][0] or 0)


def _by_order(table: Table, name: str, rare: str) -> int:
    """Rows whose class is right when the column is cut at its best place."""
    query = (
        "WITH ordered AS (SELECT value, sum(hit) AS hits, count(*) AS n FROM"  # nosec B608  # quoted
        f" (SELECT {quoted(name)} AS value, CAST(__class = ? AS INTEGER) AS hit FROM sample"
        f" WHERE {quoted(name)} IS NOT NULL) GROUP BY value),"
        " cuts AS (SELECT sum(hits) OVER w AS low_hits, sum(n) OVER w AS low, sum(hits) OVER () AS all_hits,"
        " sum(n) OVER () AS everything FROM ordered WINDOW w AS (ORDER BY value ROWS UNBOUNDED PRECEDING))"
        " SELECT max(greatest(low_hits + (everything - low) - (all_hits - low_hits), (low - low_hits) + (all_hits - low_hits)))"
        " FROM cuts"
    )
    return int(table.rows(query, [rare])[0][0] or 0)
