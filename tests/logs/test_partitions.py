"""A new month of calls is made while calls are read and recorded: who does so at that moment is not waited for."""

import pytest
from django.db import DatabaseError, connection

MONTH = "2031-06-01"
DESCRIBED = """
    SELECT (SELECT array_agg(regexp_replace(pg_get_indexdef(x.indexrelid), 'INDEX \\S+ ON \\S+', '') ORDER BY i.inhparent)
            FROM pg_index x JOIN pg_inherits i ON i.inhrelid = x.indexrelid WHERE x.indrelid = c.oid),
        (SELECT array_agg(pg_get_constraintdef(o.oid) ORDER BY pg_get_constraintdef(o.oid)) FROM pg_constraint o
            WHERE o.conrelid = c.oid AND o.contype IN ('c', 'p')),
        (SELECT array_agg(a.attname || format_type(a.atttypid, a.atttypmod) || a.attnotnull || coalesce(
            pg_get_expr(d.adbin, d.adrelid), '') ORDER BY a.attnum) FROM pg_attribute a
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
        (SELECT array_agg(t.tgname ORDER BY t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid)
    FROM pg_class c WHERE c.oid = %s::regclass
"""


@pytest.mark.django_db(transaction=True)
def test_nobody_is_waited_for_and_nobody_waits() -> None:
    other = connection.copy()
    try:
        with other.cursor() as busy, connection.cursor() as cursor:
            busy.execute("BEGIN")
            # What a recording that has not committed yet holds.
            busy.execute("LOCK TABLE logs_call IN ROW EXCLUSIVE MODE")
            cursor.execute("SET lock_timeout = '2s'")
            cursor.execute("SELECT logs_make_partition(%s)", [MONTH])
            cursor.execute("SELECT logs_make_partition(%s)", [MONTH])
            cursor.execute("RESET lock_timeout")
            busy.execute("ROLLBACK")
            cursor.execute("SELECT to_char(now(), 'YYYY_MM')")
            described = []
            for month in (cursor.fetchone()[0], "2031_06"):
                cursor.execute(DESCRIBED, [f"logs_call_{month}"])
                described.append(cursor.fetchone())
            assert described[0] == described[1]
            assert len(described[0][0]) >= 3
            with pytest.raises(DatabaseError, match="is refused"):
                cursor.execute("TRUNCATE logs_call_2031_06")
    finally:
        other.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS logs_call_2031_06")
