"""Archived months are checked apart from the books, and the seals of what is left of days are chained."""

from django.db import migrations, models

# Those that are there, in the order in which they were made; as wallet/seals.py does it.
CHAIN = """
ALTER TABLE wallet_dayrest DISABLE TRIGGER day_rest_is_final;
DO $$
DECLARE
    rest record;
    of_table text := '';
    previous bytea;
BEGIN
    FOR rest IN SELECT id, "table", day, digest FROM wallet_dayrest ORDER BY "table", id LOOP
        IF rest."table" <> of_table THEN
            of_table := rest."table";
            previous := '';
        END IF;
        previous := sha256(previous || convert_to(to_char(rest.day, 'YYYY-MM-DD'), 'UTF8') || rest.digest);
        UPDATE wallet_dayrest SET chain = previous WHERE id = rest.id;
    END LOOP;
END $$;
ALTER TABLE wallet_dayrest ENABLE TRIGGER day_rest_is_final;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0026_rests_of_days"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="checkrun",
            name="subject",
            field=models.CharField(db_default="books", default="books", max_length=20),
        ),
        migrations.AlterField(
            model_name="checkrun",
            name="last_transfer_id",
            field=models.BigIntegerField(
                default=0, help_text="The newest transfer that a run over the books could see."
            ),
        ),
        migrations.AddIndex(
            model_name="checkrun",
            index=models.Index(fields=["subject", "id"], name="check_run_subject"),
        ),
        migrations.AlterModelOptions(
            name="dayrest",
            options={
                "ordering": ["table", "day", "id"],
                "verbose_name": "seal of the rest of a day",
                "verbose_name_plural": "seals of rests of days",
            },
        ),
        migrations.AddField(
            model_name="dayrest",
            name="chain",
            field=models.BinaryField(default=b"", max_length=32),
            preserve_default=False,
        ),
        migrations.RunSQL(CHAIN, migrations.RunSQL.noop),
    ]
