from django.db import migrations

# A payload that was cut can't be read any more, so nothing of it is kept.
MEND = """
UPDATE logs_rejectedcall SET payload = coalesce(
    (SELECT jsonb_object_agg(key, value) FROM jsonb_each(payload) WHERE key IN (
        'call_id', 'model', 'started_at', 'token_id', 'status', 'usage', 'latency_ms', 'first_token_ms', 'stream',
        'endpoint', 'upstream_id', 'upstream_cost_nanousd')), '{"cut": ""}')
WHERE jsonb_typeof(payload) = 'object';
"""


class Migration(migrations.Migration):
    """Takes addresses, error texts and what nobody asked for out of rejected calls that are kept."""

    dependencies = [("logs", "0001_initial")]

    operations = [migrations.RunSQL(MEND, migrations.RunSQL.noop)]
