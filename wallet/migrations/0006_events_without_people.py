from django.db import migrations

# The objects of the events that were asked for so far carry them at their top level.
MEND = """
UPDATE wallet_stripeevent SET payload = jsonb_set(payload, '{data,object}', (payload #> '{data,object}') - ARRAY[
    'billing_details', 'collected_information', 'customer_details', 'customer_email', 'evidence', 'last_payment_error',
    'payment_method_details', 'receipt_email', 'shipping', 'shipping_details'])
WHERE jsonb_typeof(payload #> '{data,object}') = 'object';
"""


class Migration(migrations.Migration):
    """Takes who paid out of the events that are kept; Stripe has it."""

    dependencies = [("wallet", "0005_speed")]

    operations = [migrations.RunSQL(MEND, migrations.RunSQL.noop)]
