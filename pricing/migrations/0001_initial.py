import django.contrib.postgres.functions
import django.db.models.deletion
from django.db import migrations, models

# Price versions are what receipts were computed from, so nobody may change one: not the application, not
# staff, not a cascade. Unit prices belong to the transaction that wrote their version; adding one later
# would change what past calls of that version should have cost.
REFUSE_CHANGES = """
CREATE FUNCTION pricing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is refused: rows of % never change; publish a new price version instead', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER pricing_priceversion_immutable BEFORE UPDATE OR DELETE ON pricing_priceversion
    FOR EACH ROW EXECUTE FUNCTION pricing_refuse_change();
CREATE TRIGGER pricing_priceversion_no_truncate BEFORE TRUNCATE ON pricing_priceversion
    FOR EACH STATEMENT EXECUTE FUNCTION pricing_refuse_change();
CREATE TRIGGER pricing_unitprice_immutable BEFORE UPDATE OR DELETE ON pricing_unitprice
    FOR EACH ROW EXECUTE FUNCTION pricing_refuse_change();
CREATE TRIGGER pricing_unitprice_no_truncate BEFORE TRUNCATE ON pricing_unitprice
    FOR EACH STATEMENT EXECUTE FUNCTION pricing_refuse_change();

CREATE FUNCTION pricing_refuse_late_unit_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM pricing_priceversion
        WHERE id = NEW.version_id AND created_at = transaction_timestamp();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'INSERT is refused: price version % was written before; publish a new one instead', NEW.version_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER pricing_unitprice_with_its_version BEFORE INSERT ON pricing_unitprice
    FOR EACH ROW EXECUTE FUNCTION pricing_refuse_late_unit_price();
"""

ALLOW_CHANGES = """
DROP TRIGGER pricing_unitprice_with_its_version ON pricing_unitprice;
DROP TRIGGER pricing_unitprice_no_truncate ON pricing_unitprice;
DROP TRIGGER pricing_unitprice_immutable ON pricing_unitprice;
DROP TRIGGER pricing_priceversion_no_truncate ON pricing_priceversion;
DROP TRIGGER pricing_priceversion_immutable ON pricing_priceversion;
DROP FUNCTION pricing_refuse_late_unit_price();
DROP FUNCTION pricing_refuse_change();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Model",
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
                        db_comment='What a caller writes in "model"; matched exactly, case included.',
                        max_length=200,
                        unique=True,
                    ),
                ),
                ("provider_code", models.SlugField(max_length=40)),
                ("provider", models.CharField(max_length=80)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("text", "Text"),
                            ("image", "Image"),
                            ("video", "Video"),
                            ("music", "Music"),
                            ("speech", "Speech and audio"),
                            ("embedding", "Embedding"),
                            ("document", "Document"),
                        ],
                        db_index=True,
                        default="text",
                        max_length=16,
                    ),
                ),
                ("title", models.CharField(blank=True, max_length=200)),
                ("description", models.TextField(blank=True)),
                ("context_window", models.PositiveIntegerField(blank=True, null=True)),
                ("max_output_tokens", models.PositiveIntegerField(blank=True, null=True)),
                ("is_deprecated", models.BooleanField(default=False)),
                (
                    "origin",
                    models.CharField(
                        choices=[("import", "Import"), ("staff", "Staff")], default="staff", max_length=8
                    ),
                ),
                (
                    "unsold_reason",
                    models.CharField(
                        blank=True,
                        db_comment="Not empty: the model is not for sale, and why.",
                        max_length=300,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="pricing_model_has_a_name"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PriceVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "effective_from",
                    models.DateTimeField(
                        db_comment="In force from this moment until the model's next version."
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.contrib.postgres.functions.TransactionNow(), editable=False
                    ),
                ),
                (
                    "multiplier_bp",
                    models.PositiveIntegerField(
                        db_comment="Basis points that the sum of the lines is multiplied by; 10,000 is times 1.",
                        default=10000,
                    ),
                ),
                (
                    "origin",
                    models.CharField(
                        choices=[("import", "Import"), ("staff", "Staff")], default="import", max_length=8
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        blank=True, db_comment="Where the prices were taken from.", max_length=300
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="price_versions",
                        to="pricing.model",
                    ),
                ),
            ],
            options={
                "ordering": ["model_id", "effective_from"],
            },
        ),
        migrations.CreateModel(
            name="UnitPrice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "unit",
                    models.CharField(
                        choices=[
                            ("input_tokens", "Prompt"),
                            ("cached_input_tokens", "Cached prompt"),
                            ("cache_write_tokens", "Cache write"),
                            ("cache_write_1h_tokens", "Cache write (1 hour)"),
                            ("output_tokens", "Completion"),
                            ("reasoning_tokens", "Reasoning"),
                            ("input_audio_tokens", "Audio prompt"),
                            ("cached_input_audio_tokens", "Cached audio prompt"),
                            ("output_audio_tokens", "Audio completion"),
                            ("input_image_tokens", "Image prompt"),
                            ("cached_input_image_tokens", "Cached image prompt"),
                            ("output_image_tokens", "Image completion"),
                            ("images", "Images"),
                            ("seconds", "Seconds"),
                            ("characters", "Characters"),
                            ("pages", "Pages"),
                            ("web_searches", "Web searches"),
                            ("storage_searches", "Storage searches"),
                            ("calls", "Calls"),
                        ],
                        max_length=32,
                    ),
                ),
                (
                    "above_input_tokens",
                    models.PositiveIntegerField(
                        db_comment="Applies to calls with more input tokens than this; 0 is the base price.",
                        default=0,
                    ),
                ),
                (
                    "price_picousd_per_unit",
                    models.BigIntegerField(db_comment="Pico-dollars (10^-12 USD) for one unit."),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="unit_prices",
                        to="pricing.priceversion",
                    ),
                ),
            ],
            options={
                "ordering": ["version_id", "above_input_tokens", "id"],
            },
        ),
        migrations.AddConstraint(
            model_name="priceversion",
            constraint=models.UniqueConstraint(
                fields=("model", "effective_from"), name="pricing_version_once_a_moment"
            ),
        ),
        migrations.AddConstraint(
            model_name="priceversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("multiplier_bp__gte", 1), ("multiplier_bp__lte", 1000000)),
                name="pricing_version_multiplier_in_bounds",
            ),
        ),
        migrations.AddConstraint(
            model_name="unitprice",
            constraint=models.UniqueConstraint(
                fields=("version", "unit", "above_input_tokens"), name="pricing_unit_price_once_a_tier"
            ),
        ),
        migrations.AddConstraint(
            model_name="unitprice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("price_picousd_per_unit__gte", 0), ("price_picousd_per_unit__lte", 1000000000000000)
                ),
                name="pricing_unit_price_in_bounds",
            ),
        ),
        migrations.AddConstraint(
            model_name="unitprice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "unit__in",
                        [
                            "input_tokens",
                            "cached_input_tokens",
                            "cache_write_tokens",
                            "cache_write_1h_tokens",
                            "output_tokens",
                            "reasoning_tokens",
                            "input_audio_tokens",
                            "cached_input_audio_tokens",
                            "output_audio_tokens",
                            "input_image_tokens",
                            "cached_input_image_tokens",
                            "output_image_tokens",
                            "images",
                            "seconds",
                            "characters",
                            "pages",
                            "web_searches",
                            "storage_searches",
                            "calls",
                        ],
                    )
                ),
                name="pricing_unit_price_of_a_known_unit",
            ),
        ),
        migrations.RunSQL(REFUSE_CHANGES, ALLOW_CHANGES),
    ]
