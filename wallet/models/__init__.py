"""The tables of the wallet. The migrations add triggers that refuse what these models would let through."""

from wallet.models.acts import Proposal
from wallet.models.books import Account, Code, Funds, Hold, HouseBalance, Transfer, Wallet
from wallet.models.checks import BOOKS, CheckRun, DayRest, DaySeal
from wallet.models.payments import (
    AutoTopUp,
    CardSetup,
    Dispute,
    Refund,
    SavedCard,
    StripeCustomer,
    TopUp,
    UnsentMail,
)
from wallet.models.stripe import Difference, Reconciliation, StripeEvent, StripeTransaction

__all__ = [
    "BOOKS",
    "Account",
    "AutoTopUp",
    "CardSetup",
    "CheckRun",
    "Code",
    "DayRest",
    "DaySeal",
    "Difference",
    "Dispute",
    "Funds",
    "Hold",
    "HouseBalance",
    "Proposal",
    "Reconciliation",
    "Refund",
    "SavedCard",
    "StripeCustomer",
    "StripeEvent",
    "StripeTransaction",
    "TopUp",
    "Transfer",
    "UnsentMail",
    "Wallet",
]
