"""Kinds, limits, rules and rotation of keys. Defaults are the database's too, for programs that know none of these columns."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0001_initial"),
        ("tokens", "0002_daily_usage"),
        ("wallet", "0022_expected_tokens"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="calls_in_flight",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="disabled_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="expires_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="kind",
            field=models.CharField(
                choices=[
                    ("inference", "Calls models"),
                    ("query", "Asks for balance and usage"),
                    ("account", "Uses the account API"),
                ],
                db_default="inference",
                default="inference",
                editable=False,
                max_length=9,
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="limit_nanousd",
            field=models.BigIntegerField(blank=True, help_text="Over its whole life.", null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="model_ids",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(),
                blank=True,
                help_text="Models that it may call; null: every one.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="networks",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=43),
                blank=True,
                help_text="Ranges of addresses that calls may come from; null: everywhere.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="notes",
            field=models.CharField(blank=True, db_default="", default="", max_length=1000),
        ),
        migrations.AddField(
            model_name="apikey",
            name="period",
            field=models.CharField(
                blank=True,
                choices=[("day", "a day"), ("week", "a week"), ("month", "a month")],
                db_default="",
                default="",
                max_length=5,
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="period_limit_nanousd",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_digest",
            field=models.BinaryField(max_length=32, null=True, unique=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_hint",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=32),
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="requests_per_minute",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="tokens_per_minute",
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="prefix",
            field=models.CharField(
                db_index=True, help_text="The key's first characters, to recognise it by.", max_length=20
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("period", ""), ("period_limit_nanousd", None)),
                    models.Q(
                        models.Q(("period", ""), _negated=True), ("period_limit_nanousd__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="key_period_with_its_limit",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("previous_digest", None), ("previous_until", None)),
                    models.Q(("previous_digest__isnull", False), ("previous_until__isnull", False)),
                    _connector="OR",
                ),
                name="key_overlap_is_whole",
            ),
        ),
    ]
