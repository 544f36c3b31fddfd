"""Months of calls that were sealed, written to a file and taken out of the database."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


# What a month was sealed with never changes; that its table is gone is noted later. A month that was archived gets no table
# again: what stood in it would be counted nowhere.
FINAL = """
CREATE TRIGGER archived_month_is_final
    BEFORE UPDATE OF month, upper_id, calls, file, size_bytes, digest, archived_at ON logs_archivedmonth
    FOR EACH STATEMENT EXECUTE FUNCTION logs_refuse();
CREATE TRIGGER archived_month_stays BEFORE DELETE OR TRUNCATE ON logs_archivedmonth
    FOR EACH STATEMENT EXECUTE FUNCTION logs_refuse();
CREATE TRIGGER sealed_usage_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON logs_sealedusage
    FOR EACH STATEMENT EXECUTE FUNCTION logs_refuse();
CREATE TRIGGER sealed_transfers_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON logs_sealedtransfers
    FOR EACH STATEMENT EXECUTE FUNCTION logs_refuse();
"""
MAKE_PARTITION = """
CREATE OR REPLACE FUNCTION logs_make_partition(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_day date := date_trunc('month', month)::date;
    name text := 'logs_call_' || to_char(first_day, 'YYYY_MM');
    lower uuid := (rpad(lpad(to_hex((extract(epoch FROM first_day::timestamp) * 1000)::bigint), 12, '0'), 32, '0'))::uuid;
    upper uuid := (rpad(lpad(to_hex((extract(epoch FROM (first_day + interval '1 month')) * 1000)::bigint), 12, '0'), 32, '0'))::uuid;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('logs_make_partition'));
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;{guard}
{make}END $$;
"""
AS_PART = """    EXECUTE format('CREATE TABLE %I PARTITION OF logs_call FOR VALUES FROM (%L) TO (%L)', name, lower, upper);
    EXECUTE format('CREATE TRIGGER call_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON %I'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION logs_refuse()', name);
"""
# A part that is made as one locks the whole table: it waits for an export that runs, and whoever records waits for it. One that is
# attached waits for nobody.
ATTACHED = """    EXECUTE format('CREATE TABLE %I (LIKE logs_call INCLUDING ALL)', name);
    EXECUTE format('CREATE TRIGGER call_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON %I'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION logs_refuse()', name);
    EXECUTE format('ALTER TABLE logs_call ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, lower, upper);
"""
GUARD = """
    IF first_day <= (SELECT max(logs_archivedmonth.month) FROM logs_archivedmonth) THEN
        RAISE EXCEPTION 'the calls of % are archived', to_char(first_day, 'YYYY-MM') USING ERRCODE = 'restrict_violation';
    END IF;"""
UNDO = """
DROP TRIGGER archived_month_is_final ON logs_archivedmonth;
DROP TRIGGER archived_month_stays ON logs_archivedmonth;
DROP TRIGGER sealed_usage_is_final ON logs_sealedusage;
DROP TRIGGER sealed_transfers_are_final ON logs_sealedtransfers;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("logs", "0007_limits_one_by_one"),
        ("pricing", "0004_replaced_versions"),
        ("tokens", "0007_last_asked_at"),
        ("wallet", "0026_rests_of_days"),
    ]

    operations = [
        migrations.CreateModel(
            name="ArchivedMonth",
            fields=[
                (
                    "month",
                    models.DateField(help_text="Its first day, in UTC.", primary_key=True, serialize=False),
                ),
                ("upper_id", models.UUIDField(help_text="Calls with smaller ids are archived.")),
                ("calls", models.BigIntegerField()),
                ("file", models.CharField(help_text="In the folder CALLS_ARCHIVE_DIR.", max_length=100)),
                ("size_bytes", models.BigIntegerField()),
                ("digest", models.BinaryField(help_text="SHA-256 of the file.", max_length=32)),
                (
                    "archived_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "dropped_at",
                    models.DateTimeField(
                        help_text="Since when the database has none of its calls.", null=True
                    ),
                ),
            ],
            options={
                "ordering": ["-month"],
            },
        ),
        migrations.CreateModel(
            name="SealedUsage",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "wallet_id",
                        "month_id",
                        "key_id",
                        "model_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("calls", models.BigIntegerField()),
                ("failed", models.BigIntegerField()),
                ("input_tokens", models.BigIntegerField()),
                ("cached_input_tokens", models.BigIntegerField()),
                ("output_tokens", models.BigIntegerField()),
                ("charged_nanousd", models.BigIntegerField()),
                ("promotional_nanousd", models.BigIntegerField()),
                ("largest_nanousd", models.BigIntegerField()),
                (
                    "key",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tokens.apikey",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="pricing.model",
                    ),
                ),
                (
                    "month",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="logs.archivedmonth",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="wallet.wallet",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SealedTransfers",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.BigIntegerField()),
                ("amount_nanousd", models.BigIntegerField()),
                (
                    "month",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="logs.archivedmonth",
                    ),
                ),
                (
                    "transfer",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="wallet.transfer",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="wallet.wallet",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("wallet", "month", "transfer"),
                        name="sealed_transfers_once",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.RunSQL(FINAL, UNDO),
        migrations.RunSQL(
            MAKE_PARTITION.replace("{guard}", GUARD).replace("{make}", ATTACHED),
            MAKE_PARTITION.replace("{guard}", "").replace("{make}", AS_PART),
        ),
    ]
