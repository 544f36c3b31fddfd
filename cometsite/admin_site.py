"""How the admin panel looks and what its menu holds (Unfold's settings). The panel itself is cometsite/staff_site.py."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def site_name(request: HttpRequest) -> str:
    from django.conf import settings  # this module is read while the settings load

    return str(settings.SITE_NAME)


def icon(request: HttpRequest) -> str:
    return static("img/favicon.svg")


def style(request: HttpRequest) -> str:
    return static("css/staff.css")


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)


def _item(title: str, icon_name: str, model: str) -> dict[str, Any]:
    return {"title": title, "icon": icon_name, "link": reverse_lazy(f"admin:{model}_changelist")}


UNFOLD: dict[str, object] = {
    "SITE_TITLE": site_name,
    "SITE_HEADER": site_name,
    "SITE_SUBHEADER": "Staff",
    "SITE_ICON": icon,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": icon}],
    "STYLES": [style],
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "7px",
    "DASHBOARD_CALLBACK": "cometsite.staff_index.index",
    "ACCOUNT": {
        "navigation": [
            {"title": "Change password", "link": reverse_lazy("account_change_password")},
            {"title": "E-mail address", "link": reverse_lazy("account_email")},
        ]
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [{"title": "Today", "icon": "today", "link": reverse_lazy("admin:index")}],
            },
            {
                "title": "People",
                "items": [
                    _item("Users", "person", "accounts_user"),
                    {**_item("Groups", "group", "auth_group"), "permission": is_superuser},
                    _item("Audit trail", "history_edu", "accounts_auditentry"),
                ],
            },
            {
                "title": "Wallet",
                "items": [
                    _item("Wallets", "account_balance_wallet", "wallet_wallet"),
                    _item("Transfers", "swap_horiz", "wallet_transfer"),
                    _item("Proposals", "how_to_vote", "wallet_proposal"),
                    _item("Ledger accounts", "account_balance", "wallet_account"),
                    _item("Funds", "savings", "wallet_funds"),
                    _item("Holds", "hourglass_empty", "wallet_hold"),
                    _item("Checks of the books", "fact_check", "wallet_checkrun"),
                    _item("Seals", "lock", "wallet_dayseal"),
                    _item("Seals of rests", "lock_clock", "wallet_dayrest"),
                    _item("Unsent mails", "unsubscribe", "wallet_unsentmail"),
                ],
            },
            {
                "title": "Stripe",
                "items": [
                    _item("Top-ups", "add_card", "wallet_topup"),
                    _item("Refunds", "undo", "wallet_refund"),
                    _item("Disputes", "gavel", "wallet_dispute"),
                    _item("Stripe events", "inbox", "wallet_stripeevent"),
                    _item("Stripe transactions", "swap_vert", "wallet_stripetransaction"),
                    _item("Reconciliations", "balance", "wallet_reconciliation"),
                    _item("Differences", "difference", "wallet_difference"),
                ],
            },
            {
                "title": "Usage",
                "items": [
                    _item("Calls", "receipt_long", "logs_call"),
                    _item("Rejected calls", "report", "logs_rejectedcall"),
                    _item("API keys", "key", "tokens_apikey"),
                    _item("Gateway keys", "vpn_key", "tokens_gatewaykey"),
                ],
            },
            {
                "title": "Catalogue",
                "items": [
                    _item("Models", "sell", "pricing_model"),
                    _item("Price versions", "history", "pricing_priceversion"),
                    _item("Markups", "percent", "pricing_markup"),
                    _item("Customer groups", "groups", "pricing_customergroup"),
                ],
            },
        ],
    },
}
