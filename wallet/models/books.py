"""The ledger's tables: wallets, their accounts, transfers, balances and holds."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Now

from pricing.models import CustomerGroup


class Wallet(models.Model):
    """What everything hangs off: keys, holds, calls and transfers. It has an owner; it holds no amount itself."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="wallets")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    customer_group = models.ForeignKey(
        CustomerGroup, null=True, blank=True, on_delete=models.PROTECT, related_name="wallets"
    )
    # A call pays the prices of the group in which its wallet was when it started.
    group_since = models.DateTimeField(null=True, editable=False, help_text="Null: it never was in another.")
    group_before = models.ForeignKey(
        CustomerGroup, null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        # One wallet each until several people can share one.
        constraints = [models.UniqueConstraint(fields=["owner"], name="wallet_one_per_owner")]
        permissions = [("act_on_books", "Can grant credit, correct transfers and suspend wallets")]

    def __str__(self) -> str:
        return f"Wallet {self.pk}"


class Account(models.Model):
    """A bucket of the ledger. A wallet has `promotional` and `paid`, made with it; all others are the house's."""

    class Kind(models.TextChoices):
        PROMOTIONAL = "promotional", "Credit that was given; used first, never refunded"
        PAID = "paid", "Credit that was bought; refundable while unused"
        STRIPE_CLEARING = "stripe_clearing", "Money that lies at Stripe"
        REVENUE = "revenue", "What calls earned"
        PROMOTIONS = "promotions", "What given credit cost"
        REFUNDS_PENDING = "refunds_pending", "Taken from wallets, not yet returned by Stripe"
        DISPUTES = "disputes", "Money that banks took back"
        STRIPE_FEES = "stripe_fees", "What Stripe kept"
        TAX_PAYABLE = "tax_payable", "Tax collected, owed to the state"
        BANK = "bank", "Money paid out to the bank"
        ADJUSTMENTS = "adjustments", "The other side of corrections"

    wallet = models.ForeignKey(Wallet, null=True, on_delete=models.PROTECT, related_name="accounts")
    kind = models.CharField(max_length=20, choices=Kind)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["wallet", "kind"], name="account_one_of_a_kind", nulls_distinct=False
            ),
            models.CheckConstraint(
                name="account_kind_fits_owner",
                condition=Q(wallet__isnull=False, kind__in=["promotional", "paid"])
                | (Q(wallet__isnull=True) & ~Q(kind__in=["promotional", "paid"])),
            ),
        ]

    def __str__(self) -> str:
        return self.kind if self.wallet_id is None else f"{self.kind} of wallet {self.wallet_id}"


class Funds(models.Model):
    """Cached balances of a wallet's two accounts and the total of its open holds, in nano-dollars.

    One row, so that the lock that admits a call sees all three at once. The database writes the balances together with
    the transfers, and refuses any other write; `held_nanousd` belongs to wallet/holds.py.
    """

    wallet = models.OneToOneField(Wallet, primary_key=True, on_delete=models.PROTECT, related_name="funds")
    promotional_nanousd = models.BigIntegerField(default=0)
    paid_nanousd = models.BigIntegerField(default=0)
    held_nanousd = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "funds"
        constraints = [
            models.CheckConstraint(name="funds_held_not_negative", condition=Q(held_nanousd__gte=0))
        ]

    @property
    def balance_nanousd(self) -> int:
        return self.promotional_nanousd + self.paid_nanousd

    @property
    def available_nanousd(self) -> int:
        return self.balance_nanousd - self.held_nanousd


class HouseBalance(models.Model):
    """Cached balance of a house account, in slots, so that parallel batches don't queue for one row. The sum counts."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="house_balances")
    slot = models.SmallIntegerField()
    balance_nanousd = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "slot"], name="house_balance_slot")]


class Code(models.TextChoices):
    """Why money moved."""

    STARTER_GRANT = "starter_grant", "Starter credit"
    TOP_UP = "top_up", "Top-up"
    USAGE = "usage", "Usage"
    REFUND = "refund", "Refund"
    REFUND_REVERSAL = "refund_reversal", "Refund returned"
    DISPUTE = "dispute", "Dispute"
    DISPUTE_REVERSAL = "dispute_reversal", "Dispute won"
    STRIPE_FEE = "stripe_fee", "Stripe fee"
    TAX = "tax", "Tax"
    PAYOUT = "payout", "Payout"
    GRANT = "grant", "Credit"
    GRANT_VOID = "grant_void", "Credit withdrawn"
    CORRECTION = "correction", "Correction"


class Transfer(models.Model):
    """One immutable movement from a debit account to a credit account. Only wallet/ledger.py makes them."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    code = models.CharField(max_length=20, choices=Code)
    reference = models.CharField(max_length=200, help_text="The same reference moves money once.")
    # The trigger that moves the balances refuses accounts that do not exist, so these need no foreign key.
    debit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="debits"
    )
    credit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="credits"
    )
    wallet = models.ForeignKey(
        Wallet,
        null=True,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="transfers",
    )
    amount_nanousd = models.BigIntegerField()
    corrects = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="corrected_by")
    details = models.JSONField(
        default=dict, help_text="Ids that explain the movement; never what identifies a person."
    )

    class Meta:
        ordering = ["-id"]
        # Movements other than usage are few among many, and are listed by their time: a wallet's, and everybody's.
        indexes = [
            models.Index(fields=["wallet", "id"], name="transfer_wallet_history"),
            models.Index(
                fields=["wallet", "created_at", "id"],
                name="transfer_wallet_movements",
                condition=~Q(code="usage"),
            ),
            models.Index(fields=["created_at", "id"], name="transfer_movements", condition=~Q(code="usage")),
            # The tax of a dispute is in no wallet, and it is looked for among millions of others.
            models.Index(
                KeyTextTransform("dispute", "details"),
                name="transfer_tax_of_dispute",
                condition=Q(code="tax"),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["reference"], name="transfer_reference_once"),
            models.CheckConstraint(name="transfer_amount_positive", condition=Q(amount_nanousd__gt=0)),
            models.CheckConstraint(
                name="transfer_two_accounts", condition=~Q(debit_account=models.F("credit_account"))
            ),
            models.CheckConstraint(name="transfer_code_known", condition=Q(code__in=Code.values)),
            models.CheckConstraint(name="transfer_reference_given", condition=~Q(reference="")),
        ]

    def __str__(self) -> str:
        return self.reference


class Hold(models.Model):
    """What an admitted call is expected to cost. Recording the call removes it; an abandoned one expires."""

    class State(models.TextChoices):
        OPEN = "open", "Counted against the balance"
        EXPIRED = "expired", "Never reported; no longer counted"

    id = models.UUIDField(primary_key=True, help_text="The id of the call.")
    # Placed in the statement that has just written the wallet's funds, so it needs no foreign key.
    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="holds"
    )
    reference = models.CharField(max_length=64, help_text="Who asked: the API key's id.")
    memo = models.CharField(max_length=200, help_text="What it is for: the model's name.")
    amount_nanousd = models.BigIntegerField()
    expected_tokens = models.BigIntegerField(
        db_default=0, help_text="Of the call, as the amount is its cost."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)

    class Meta:
        indexes = [models.Index(fields=["wallet", "expires_at"], name="hold_open", condition=Q(state="open"))]
        constraints = [
            models.CheckConstraint(name="hold_amount_not_negative", condition=Q(amount_nanousd__gte=0))
        ]
