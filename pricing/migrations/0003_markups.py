"""Markups of providers and of models, which never change, as the versions that carry them do not."""

import django.contrib.postgres.functions
import django.db.models.deletion
from django.db import migrations, models


REFUSE_CHANGES = """
CREATE TRIGGER pricing_markup_immutable BEFORE UPDATE OR DELETE ON pricing_markup
    FOR EACH ROW EXECUTE FUNCTION pricing_refuse_change();
CREATE TRIGGER pricing_markup_no_truncate BEFORE TRUNCATE ON pricing_markup
    FOR EACH STATEMENT EXECUTE FUNCTION pricing_refuse_change();
"""
ALLOW_CHANGES = """
DROP TRIGGER pricing_markup_no_truncate ON pricing_markup;
DROP TRIGGER pricing_markup_immutable ON pricing_markup;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0002_customer_groups"),
    ]

    operations = [
        migrations.CreateModel(
            name="Markup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("provider_code", models.SlugField(blank=True, max_length=40)),
                (
                    "effective_from",
                    models.DateTimeField(db_comment="In force from this moment until the next one of it."),
                ),
                ("multiplier_bp", models.PositiveIntegerField(db_comment="Basis points; 10,000 is times 1.")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.contrib.postgres.functions.TransactionNow(), editable=False
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="markups",
                        to="pricing.model",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "permissions": [("act_on_prices", "Can change markups, and customer groups and their rates")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("provider_code", "model", "effective_from"),
                        name="pricing_markup_once_a_moment",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("model__isnull", False), ("provider_code", "")),
                            models.Q(models.Q(("provider_code", ""), _negated=True), ("model", None)),
                            _connector="OR",
                        ),
                        name="pricing_markup_of_provider_or_model",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("multiplier_bp__gte", 1), ("multiplier_bp__lte", 1000000)),
                        name="pricing_markup_in_bounds",
                    ),
                ],
            },
        ),
        migrations.RunSQL(REFUSE_CHANGES, ALLOW_CHANGES),
    ]
