"""What is sold and for how much; imports no other app of the project."""

from django.apps import AppConfig


class PricingConfig(AppConfig):
    name = "pricing"
    verbose_name = "Models and prices"
    default_auto_field = "django.db.models.BigAutoField"
