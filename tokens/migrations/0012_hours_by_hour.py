"""The key of hours begins with the hour, so that calls of many wallets write a few neighbouring pages of it, not one a wallet.

The new order's index is built beside the writers; it then becomes the primary key at the moment at which the old one goes.
There are the same four columns in either, so both releases' `ON CONFLICT` finds whichever is there. May be run again.
"""

import time
from functools import partial

from django.apps.registry import Apps
from django.db import OperationalError, migrations, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# A run that was cut off leaves it behind, valid or not.
DROP = "DROP INDEX CONCURRENTLY IF EXISTS hourly_usage_next_key"
BUILD = "CREATE UNIQUE INDEX CONCURRENTLY hourly_usage_next_key ON tokens_hourlyusage ({columns})"
# One statement; it gives the index the name of the constraint.
SWAP = """
    ALTER TABLE tokens_hourlyusage DROP CONSTRAINT tokens_hourlyusage_pkey,
        ADD CONSTRAINT tokens_hourlyusage_pkey PRIMARY KEY USING INDEX hourly_usage_next_key
"""
# Those who record wait behind this lock while it waits itself, so it is given up soon and asked for again.
PATIENCE = "SET LOCAL lock_timeout = '300ms'"
TRIES, PAUSE_S = 3600, 0.5
# Lock timeout, deadlock.
TAKEN = {"55P03", "40P01"}


def order(columns: str, apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make these, in this order, the primary key."""
    schema_editor.execute(DROP)
    schema_editor.execute(BUILD.format(columns=columns))
    for attempt in range(1, TRIES + 1):
        try:
            with transaction.atomic():
                schema_editor.execute(PATIENCE)
                schema_editor.execute(SWAP)
            return
        except OperationalError as error:
            if attempt == TRIES or getattr(error.__cause__, "sqlstate", None) not in TAKEN:
                raise
        time.sleep(PAUSE_S)


by_hour = partial(order, "hour, wallet_id, key_id, model_id")
by_wallet = partial(order, "wallet_id, hour, key_id, model_id")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("tokens", "0011_audio_and_images"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(by_hour, by_wallet)],
            state_operations=[
                migrations.AlterField(
                    model_name="hourlyusage",
                    name="pk",
                    field=models.CompositePrimaryKey(
                        "hour",
                        "wallet_id",
                        "key_id",
                        "model_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
            ],
        ),
    ]
