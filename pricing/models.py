"""Models, their price versions and unit prices, markups, and the rates of customer groups.

A price version, its unit prices, a markup and a group's rate are written once, by `pricing.publishing`, `pricing.markups`
and `pricing.groups`, and never change: triggers refuse UPDATE, DELETE and TRUNCATE on their tables, and unit prices added
to a version later. A receipt that names them can therefore be computed again years later, with the same result.
"""

from django.contrib.postgres.functions import TransactionNow
from django.db import models
from django.db.models import Q

from pricing import units

MAX_PRICE_PICOUSD = 10**15
MAX_MULTIPLIER_BP = 1_000_000


class Kind(models.TextChoices):
    """What a model makes, as people look for it."""

    TEXT = "text", "Text"
    IMAGE = "image", "Image"
    VIDEO = "video", "Video"
    MUSIC = "music", "Music"
    SPEECH = "speech", "Speech and audio"
    EMBEDDING = "embedding", "Embedding"
    DOCUMENT = "document", "Document"


class Origin(models.TextChoices):
    """Who wrote a model or a price version. The import leaves alone what staff wrote."""

    IMPORT = "import", "Import"
    STAFF = "staff", "Staff"


class Model(models.Model):
    """Something that can be called by its full name, whether it is for sale or not."""

    name = models.CharField(
        max_length=200,
        unique=True,
        db_comment='What a caller writes in "model"; matched exactly, case included.',
    )
    provider_code = models.SlugField(max_length=40)
    provider = models.CharField(max_length=80)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.TEXT, db_index=True)
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    context_window = models.PositiveIntegerField(null=True, blank=True)
    max_output_tokens = models.PositiveIntegerField(null=True, blank=True)
    is_deprecated = models.BooleanField(default=False)
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.STAFF)
    unsold_reason = models.CharField(
        max_length=300, blank=True, db_comment="Not empty: the model is not for sale, and why."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="pricing_model_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class PriceVersion(models.Model):
    """What a model costs from a moment on, until the next version of it. Immutable.

    Of several from one moment the newest is in force: it replaces the others before they ever were.
    """

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="price_versions")
    effective_from = models.DateTimeField(
        db_comment="In force from this moment until the model's next version."
    )
    # The transaction's time, not the statement's: by it the trigger on unit prices knows that both were
    # written in one transaction.
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    multiplier_bp = models.PositiveIntegerField(
        default=10_000,
        db_comment="Basis points that the sum of the lines is multiplied by; 10,000 is times 1.",
    )
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.IMPORT)
    source = models.CharField(max_length=300, blank=True, db_comment="Where the prices were taken from.")

    class Meta:
        ordering = ["model_id", "effective_from", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(multiplier_bp__gte=1, multiplier_bp__lte=MAX_MULTIPLIER_BP),
                name="pricing_version_multiplier_in_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} from {self.effective_from:%Y-%m-%d %H:%M}"


class UnitPrice(models.Model):
    """The price of one unit in a version, from a context size on. Immutable."""

    version = models.ForeignKey(PriceVersion, on_delete=models.PROTECT, related_name="unit_prices")
    unit = models.CharField(max_length=32, choices=[(unit.code, unit.label) for unit in units.UNITS.values()])
    above_input_tokens = models.PositiveIntegerField(
        default=0, db_comment="Applies to calls with more input tokens than this; 0 is the base price."
    )
    price_picousd_per_unit = models.BigIntegerField(db_comment="Pico-dollars (10^-12 USD) for one unit.")

    class Meta:
        ordering = ["version_id", "above_input_tokens", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "unit", "above_input_tokens"], name="pricing_unit_price_once_a_tier"
            ),
            models.CheckConstraint(
                condition=Q(price_picousd_per_unit__gte=0, price_picousd_per_unit__lte=MAX_PRICE_PICOUSD),
                name="pricing_unit_price_in_bounds",
            ),
            models.CheckConstraint(
                condition=Q(unit__in=list(units.UNITS)), name="pricing_unit_price_of_a_known_unit"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.unit} at {self.price_picousd_per_unit} pico-dollars"


class Markup(models.Model):
    """What the listed prices of a provider, or of one model, are multiplied by from a moment on. Immutable.

    It acts when versions are published: each carries the multiplier of its provider times that of its model.
    """

    provider_code = models.SlugField(max_length=40, blank=True)
    model = models.ForeignKey(Model, null=True, blank=True, on_delete=models.PROTECT, related_name="markups")
    effective_from = models.DateTimeField(db_comment="In force from this moment until the next one of it.")
    multiplier_bp = models.PositiveIntegerField(db_comment="Basis points; 10,000 is times 1.")
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        ordering = ["-id"]
        permissions = [("act_on_prices", "Can change markups, and customer groups and their rates")]
        constraints = [
            models.UniqueConstraint(
                fields=["provider_code", "model", "effective_from"],
                name="pricing_markup_once_a_moment",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(provider_code="", model__isnull=False) | ~Q(provider_code="") & Q(model=None),
                name="pricing_markup_of_provider_or_model",
            ),
            models.CheckConstraint(
                condition=Q(multiplier_bp__gte=1, multiplier_bp__lte=MAX_MULTIPLIER_BP),
                name="pricing_markup_in_bounds",
            ),
        ]

    def __str__(self) -> str:
        of = self.provider_code or f"model {self.model_id}"
        return f"{of} × {self.multiplier_bp} from {self.effective_from:%Y-%m-%d %H:%M}"


class CustomerGroup(models.Model):
    """Customers with a multiplier of their own. A wallet belongs to at most one; those without pay the list's prices."""

    name = models.CharField(max_length=80, unique=True, help_text="Its members read it on their receipts.")
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="pricing_group_has_a_name")]

    def __str__(self) -> str:
        return self.name


class GroupRate(models.Model):
    """What a group's prices are multiplied by from a moment on, until the next rate of it. Immutable."""

    group = models.ForeignKey(CustomerGroup, on_delete=models.PROTECT, related_name="rates")
    effective_from = models.DateTimeField(db_comment="In force from this moment until the group's next rate.")
    multiplier_bp = models.PositiveIntegerField(
        db_comment="Basis points on top of the price version's own multiplier; 10,000 is times 1."
    )
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        ordering = ["group_id", "effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["group", "effective_from"], name="pricing_group_rate_once_a_moment"
            ),
            models.CheckConstraint(
                condition=Q(multiplier_bp__gte=1, multiplier_bp__lte=MAX_MULTIPLIER_BP),
                name="pricing_group_rate_in_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group_id} × {self.multiplier_bp} from {self.effective_from:%Y-%m-%d %H:%M}"
