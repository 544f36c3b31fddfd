"""Whether a call's usage was told by its provider. A constant default, so no row is written and the table is locked for moments."""

from django.db import migrations, models


# A month that is archived and not dropped yet may be no part of the table any more; its rows are compared with the file still.
DETACHED = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN
        SELECT 'logs_call_' || to_char(month, 'YYYY_MM') FROM logs_archivedmonth WHERE dropped_at IS NULL
    LOOP
        IF to_regclass(name) IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_inherits WHERE inhrelid = to_regclass(name) AND inhparent = 'logs_call'::regclass
        ) THEN
            EXECUTE format('ALTER TABLE %I ADD COLUMN IF NOT EXISTS is_estimated boolean NOT NULL DEFAULT false', name);
        END IF;
    END LOOP;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("logs", "0010_more_indexes"),
    ]

    operations = [
        # The table is taken for itself only if that is possible soon: calls that wait behind this would pile up.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="call",
            name="is_estimated",
            field=models.BooleanField(
                db_default=False,
                help_text="Whether the gateway counted the usage, since the provider told none.",
            ),
        ),
        migrations.RunSQL(DETACHED, migrations.RunSQL.noop),
    ]
