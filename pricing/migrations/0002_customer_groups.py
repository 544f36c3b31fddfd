"""Groups of customers with a multiplier of their own, whose rates never change, as price versions do not."""

import django.contrib.postgres.functions
import django.db.models.deletion
from django.db import migrations, models


REFUSE_CHANGES = """
CREATE TRIGGER pricing_grouprate_immutable BEFORE UPDATE OR DELETE ON pricing_grouprate
    FOR EACH ROW EXECUTE FUNCTION pricing_refuse_change();
CREATE TRIGGER pricing_grouprate_no_truncate BEFORE TRUNCATE ON pricing_grouprate
    FOR EACH STATEMENT EXECUTE FUNCTION pricing_refuse_change();
"""
ALLOW_CHANGES = """
DROP TRIGGER pricing_grouprate_no_truncate ON pricing_grouprate;
DROP TRIGGER pricing_grouprate_immutable ON pricing_grouprate;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="CustomerGroup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="Its members read it on their receipts.", max_length=80, unique=True
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.contrib.postgres.functions.TransactionNow(), editable=False
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="pricing_group_has_a_name"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GroupRate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "effective_from",
                    models.DateTimeField(db_comment="In force from this moment until the group's next rate."),
                ),
                (
                    "multiplier_bp",
                    models.PositiveIntegerField(
                        db_comment="Basis points on top of the price version's own multiplier; 10,000 is times 1."
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.contrib.postgres.functions.TransactionNow(), editable=False
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rates",
                        to="pricing.customergroup",
                    ),
                ),
            ],
            options={
                "ordering": ["group_id", "effective_from"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("group", "effective_from"), name="pricing_group_rate_once_a_moment"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("multiplier_bp__gte", 1), ("multiplier_bp__lte", 1000000)),
                        name="pricing_group_rate_in_bounds",
                    ),
                ],
            },
        ),
        migrations.RunSQL(REFUSE_CHANGES, ALLOW_CHANGES),
    ]
