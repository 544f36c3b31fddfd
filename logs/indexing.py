"""Indexes of the partitioned table of calls, built while calls are recorded.

PostgreSQL builds none of a partitioned table concurrently. So the table's own is made empty, each partition's is built
concurrently beside the writers, and then attached; the table's is valid when the last one is. Partitions that are made from
then on get theirs by themselves.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import OperationalError, models, transaction
from django.db.backends.ddl_references import Table
from django.db.migrations.operations import AddIndex

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

# Whoever records waits behind a lock that is waited for. So it is given up soon, and asked for again after their turn.
PATIENCE = "300ms"
PAUSE_S = 1.0
TRIES = 3600
# Lock timeout, deadlock.
TAKEN = {"55P03", "40P01"}

PARTITIONS = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = %s::regclass AND NOT i.inhdetachpending
        AND NOT EXISTS (SELECT FROM pg_inherits a JOIN pg_index x ON x.indexrelid = a.inhrelid
            WHERE a.inhparent = %s::regclass AND x.indrelid = c.oid)
    ORDER BY c.relname
"""
"""Without an index that is attached to this one, in the order of their months."""


class AddIndexToPartitions(NotInTransactionMixin, AddIndex):
    """AddIndex for a partitioned table with traffic. Its migration has `atomic = False`.

    After a crash it is run again: what is built is kept, what was half built is built anew. Attaching waits for transactions
    that read the partition: an hour at most.
    """

    atomic = False
    # It asks the database as it goes, so there is no SQL to be shown; `sqlmigrate` would run it.
    reduces_to_sql = False

    def describe(self) -> str:
        return f"Index {self.index.name} on every partition of {self.model_name}, concurrently"

    def database_forwards(
        self,
        app_label: str,
        schema_editor: "BaseDatabaseSchemaEditor",
        from_state: "ProjectState",
        to_state: "ProjectState",
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _Build(schema_editor, model, self.index).run()

    def database_backwards(
        self,
        app_label: str,
        schema_editor: "BaseDatabaseSchemaEditor",
        from_state: "ProjectState",
        to_state: "ProjectState",
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            build = _Build(schema_editor, model, self.index)
            build.briefly(f"DROP INDEX IF EXISTS {build.quote(self.index.name)}")


class _Build:
    def __init__(
        self, editor: "BaseDatabaseSchemaEditor", model: type[models.Model], index: models.Index
    ) -> None:
        self.editor, self.model, self.index = editor, model, index
        self.quote: Callable[[str], str] = editor.quote_name
        self.table = model._meta.db_table

    def run(self) -> None:
        if not self._rows("SELECT to_regclass(%s)", self.quote(self.index.name))[0][0]:
            self.briefly(
                self._create(
                    self.index.name,
                    Table(self.table, lambda table: f"ONLY {self.quote(table)}"),
                    concurrently=False,
                )
            )
        given = (self.quote(self.table), self.quote(self.index.name))
        for (partition,) in self._rows(PARTITIONS, *given):
            self._build(partition)

    def _build(self, partition: str) -> None:
        name = f"{partition}_{self.index.name}"
        found = self._rows(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", self.quote(name)
        )
        if found == [(False,)]:
            self.editor.execute(f"DROP INDEX CONCURRENTLY {self.quote(name)}")
        if found != [(True,)]:
            self.editor.execute(self._create(name, Table(partition, self.quote), concurrently=True))
        self.briefly(
            f"ALTER INDEX {self.quote(self.index.name)} ATTACH PARTITION {self.quote(name)}",
        )

    def _create(self, name: str, table: Table, *, concurrently: bool) -> str:
        statement = self.index.create_sql(self.model, self.editor, concurrently=concurrently)
        statement.parts.update(name=Table(name, self.quote), table=table)
        return str(statement)

    def briefly(self, sql: str) -> None:
        """Run what needs a lock for a moment only. Raises OperationalError where it was never to be had."""
        for attempt in range(1, TRIES + 1):
            try:
                with transaction.atomic(), self.editor.connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
                    cursor.execute(sql)
                return
            except OperationalError as error:
                if attempt == TRIES or getattr(error.__cause__, "sqlstate", None) not in TAKEN:
                    raise
            time.sleep(PAUSE_S)

    def _rows(self, sql: str, *given: str) -> list[tuple[Any, ...]]:
        with self.editor.connection.cursor() as cursor:
            cursor.execute(sql, given)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found
