import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


# By hand, because Django adds the new primary key before it takes the old one away.
MANY = """
ALTER TABLE wallet_stripecustomer DROP CONSTRAINT wallet_stripecustomer_pkey,
    DROP CONSTRAINT wallet_stripecustomer_customer_id_key;
ALTER TABLE wallet_stripecustomer ADD CONSTRAINT wallet_stripecustomer_pkey PRIMARY KEY (customer_id);
CREATE INDEX wallet_stripecustomer_wallet_id ON wallet_stripecustomer (wallet_id);
"""
ONE = """
DROP INDEX wallet_stripecustomer_wallet_id;
ALTER TABLE wallet_stripecustomer DROP CONSTRAINT wallet_stripecustomer_pkey;
ALTER TABLE wallet_stripecustomer ADD CONSTRAINT wallet_stripecustomer_pkey PRIMARY KEY (wallet_id),
    ADD CONSTRAINT wallet_stripecustomer_customer_id_key UNIQUE (customer_id);
"""
STATE = [
    migrations.AlterField(
        model_name="stripecustomer",
        name="customer_id",
        field=models.CharField(max_length=64, primary_key=True, serialize=False),
    ),
    migrations.AlterField(
        model_name="stripecustomer",
        name="wallet",
        field=models.ForeignKey(
            on_delete=django.db.models.deletion.PROTECT, related_name="stripe_customers", to="wallet.wallet"
        ),
    ),
]


class Migration(migrations.Migration):
    """A wallet gets another customer where the one it had is deleted at Stripe; earlier ones are kept.

    Backwards only while no wallet has two.
    """

    dependencies = [("wallet", "0012_parked_events")]

    operations = [
        migrations.RunSQL(MANY, ONE, state_operations=STATE),
        migrations.AddField(
            model_name="stripecustomer",
            name="gone_at",
            field=models.DateTimeField(help_text="When we learned that Stripe has it no more.", null=True),
        ),
        migrations.AddConstraint(
            model_name="stripecustomer",
            constraint=models.UniqueConstraint(
                condition=Q(gone_at=None), fields=("wallet",), name="stripe_customer_one_at_a_time"
            ),
        ),
    ]
