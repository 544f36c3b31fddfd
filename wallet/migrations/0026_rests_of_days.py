"""What is left of a sealed day when part of it is archived is sealed anew."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0025_group_before"),
    ]

    operations = [
        migrations.CreateModel(
            name="DayRest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("table", models.CharField(max_length=40)),
                ("day", models.DateField()),
                ("rows", models.BigIntegerField()),
                ("digest", models.BinaryField(max_length=32)),
                (
                    "sealed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "ordering": ["table", "day", "id"],
            },
        ),
        migrations.RunSQL(
            """CREATE TRIGGER day_rest_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON wallet_dayrest
                FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse()""",
            "DROP TRIGGER day_rest_is_final ON wallet_dayrest",
        ),
    ]
