"""Usage by the hour, what of a day's input came from caches, and its dearest call. 0009 counts what was recorded before."""

import django.db.models.deletion
from django.db import migrations, models

# Rows are updated in place, many times within an hour and then never.
KEPT_SMALL = "ALTER TABLE tokens_hourlyusage SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)"


def _count(help_text: str = "") -> "models.BigIntegerField[int, int]":
    return models.BigIntegerField(default=0, help_text=help_text)


def _reference(to: str) -> "models.ForeignKey[models.Model, models.Model]":
    return models.ForeignKey(
        to,
        on_delete=django.db.models.deletion.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0004_replaced_versions"),
        ("tokens", "0007_last_asked_at"),
        ("wallet", "0025_group_before"),
    ]

    operations = [
        # Whoever records a call waits behind a lock that is waited for: rather end, to be run again.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        # Defaults of the database's own: whoever still runs the release before leaves these columns out.
        migrations.AddField(
            model_name="dailyusage",
            name="cached_input_tokens",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="Input read from caches, of all kinds; part of all input."
            ),
        ),
        migrations.AddField(
            model_name="dailyusage",
            name="largest_nanousd",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="The charge of the dearest call."
            ),
        ),
        migrations.CreateModel(
            name="HourlyUsage",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "wallet_id",
                        "hour",
                        "key_id",
                        "model_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("hour", models.DateTimeField(help_text="Its start.")),
                ("calls", _count()),
                ("failed", _count()),
                ("input_tokens", _count("All input, cached and not.")),
                ("cached_input_tokens", _count("Input read from caches, of all kinds.")),
                ("output_tokens", _count("All output, reasoning included.")),
                ("charged_nanousd", _count()),
                ("key", _reference("tokens.apikey")),
                ("model", _reference("pricing.model")),
                ("wallet", _reference("wallet.wallet")),
            ],
            options={"verbose_name_plural": "hourly usage"},
        ),
        migrations.RunSQL(KEPT_SMALL, migrations.RunSQL.noop),
    ]
