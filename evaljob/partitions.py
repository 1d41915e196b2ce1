"""Whether the rows of a partitioned log lie in the partitions where they are looked for."""

import sqlalchemy as sa

from evaljob.join.partition import MARGIN, date_of
from evaljob.source import Source


def misplaced(connection: sa.Connection, source: Source) -> str | None:
    """What is wrong with the first partition that holds rows of other days than its own, give or take one.

    No row may have a later timestamp than its partition's day, neither its own nor the one that the log is partitioned
    by; nor may it be known before. None: there is no such partition, or the log has none. Reads the whole log.
    """
    if source.partition is None:
        return None
    column, of = source.rows.c[source.partition.column], source.partition_of
    latest, earliest = dict.fromkeys((source.stamp, of)), dict.fromkeys((source.known, of))
    ends = [
        *(sa.func.max(source.rows.c[name]) for name in latest),
        *(sa.func.min(source.rows.c[name]) for name in earliest),
    ]
    placed = [source.rows.c[name].is_not(None) for name in (source.stamp, source.known)]
    for value, *found in connection.execute(sa.select(column, *ends).where(*placed).group_by(column)):
        day = date_of(value)
        days = [date_of(end) for end in found]
        late = [name for name, end in zip(latest, days, strict=False) if day and end and day < end - MARGIN]
        early = [
            name for name, end in zip(earliest, days[len(latest) :], strict=True) if day and end and day > end + MARGIN
        ]
        if day is None or late or early:
            return _told(source, value, (late or early or [of])[0])
    return None


def _told(source: Source, value: object, name: str) -> str:
    column = source.partition.column if source.partition else ""
    mend = "name the column of its days under `partition`, and under its `of` the timestamp that they are of"
    return f"in the partition {column} = {value!r} are rows with {name} of another day, more than one away; {mend}"
