"""The roll-up of calls moves here, where keys' totals and limits are read from it; a second count of them is dropped."""

import django.db.models.deletion
from django.db import migrations, models

MOVE = """
ALTER TABLE logs_dailyusage RENAME TO tokens_dailyusage;
ALTER INDEX logs_dailyusage_pkey RENAME TO tokens_dailyusage_pkey;
ALTER TABLE tokens_dailyusage ADD COLUMN last_used_at timestamptz;
UPDATE tokens_dailyusage d SET last_used_at = least(s.last_used_at, (d.day + 1)::timestamp AT TIME ZONE 'UTC')
    FROM tokens_keyspend s WHERE s.key_id = d.key_id;
ALTER TABLE tokens_dailyusage ALTER COLUMN last_used_at SET NOT NULL,
    SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE FUNCTION tokens_key_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a key stays in its wallet' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER key_stays_in_its_wallet BEFORE UPDATE OF wallet_id ON tokens_apikey
    FOR EACH ROW WHEN (OLD.wallet_id <> NEW.wallet_id) EXECUTE FUNCTION tokens_key_stays();
"""


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
        ("logs", "0002_rejected_without_people"),
        ("pricing", "0001_initial"),
        ("tokens", "0001_initial"),
        ("wallet", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(MOVE)],
            state_operations=[
                migrations.CreateModel(
                    name="DailyUsage",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "wallet_id",
                                "day",
                                "key_id",
                                "model_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("day", models.DateField()),
                        ("last_used_at", models.DateTimeField()),
                        ("calls", models.BigIntegerField(default=0)),
                        ("failed", models.BigIntegerField(default=0)),
                        (
                            "input_tokens",
                            models.BigIntegerField(default=0, help_text="All input, cached and not."),
                        ),
                        (
                            "output_tokens",
                            models.BigIntegerField(default=0, help_text="All output, reasoning included."),
                        ),
                        ("charged_nanousd", models.BigIntegerField(default=0)),
                        ("wallet", _reference("wallet.wallet")),
                        ("key", _reference("tokens.apikey")),
                        ("model", _reference("pricing.model")),
                    ],
                    options={"verbose_name_plural": "daily usage"},
                ),
            ],
        ),
        migrations.DeleteModel("KeySpend"),
    ]
