from typing import Any

from django.apps.registry import Apps
from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import TextField
from django.db.models.functions import Cast
from psycopg.types.json import Jsonb

# As wallet/events.py leaves them out since; events that were stored before it learned all of them may hold some.
PEOPLE = {
    "account_holder_name", "address", "billing_details", "buyer_id", "cashtag", "collected_information", "custom_fields",
    "customer_address", "customer_details", "customer_email", "customer_name", "customer_phone", "customer_shipping",
    "customer_tax_ids", "email", "evidence", "individual_name", "ip_address", "name", "payer_email", "payer_id",
    "payer_name", "payment_method_details", "phone", "receipt_email", "shipping", "shipping_details", "tax_ids",
}  # fmt: skip
BATCH = 1000


def strip(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Batch by batch, each in a transaction of its own: events go on coming in, and a run that was stopped goes on.

    A batch is a range of the primary key, so that the table is read once, whatever is found in it.
    """
    database = schema_editor.connection.alias
    events = apps.get_model("wallet", "StripeEvent").objects.using(database)
    named = rf'"({"|".join(sorted(PEOPLE))})":'
    found = events.alias(text=Cast("payload", TextField())).filter(text__regex=named)
    last = ""
    while keys := list(events.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        batch = found.filter(pk__gt=last, pk__lte=keys[-1]).values_list("pk", "payload")
        stripped = [(Jsonb(_without_people(payload)), key) for key, payload in batch]
        with transaction.atomic(database), schema_editor.connection.cursor() as cursor:
            cursor.executemany("UPDATE wallet_stripeevent SET payload = %s WHERE id = %s", stripped)
        last = keys[-1]


def _without_people(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_people(item) for name, item in value.items() if name not in PEOPLE}
    return [_without_people(item) for item in value] if isinstance(value, list) else value


class Migration(migrations.Migration):
    """Takes who paid out of the events that are kept; Stripe has it."""

    atomic = False
    dependencies = [("wallet", "0014_card_pages_and_mails")]

    operations = [migrations.RunPython(strip, migrations.RunPython.noop)]
