"""The customer portal: its configurations, and sessions that let one customer in for an hour."""

from . import locales, payment_methods
from .context import Context
from .errors import invalid
from .ids import new_id, random_text
from .metadata import merged
from .paging import PAGING, page
from .params import Address, Boolean, Field, Metadata, Nested, Params, Text, Unsupported
from .routes import EXPAND, Route, retrieve, shown
from .store import Json, Record

SESSIONS = "/v1/billing_portal/sessions"
CONFIGURATIONS = "/v1/billing_portal/configurations"
KIND = "billing_portal.session"
CONFIGURATION = "billing_portal.configuration"

LASTS_S = 3_600
CLEARABLE = Text(clearable=True)
UPDATES = ("address", "email", "name", "phone", "shipping", "tax_id")
SUBSCRIPTION_CANCEL = "cancellation_reason mode proration_behavior"
SUBSCRIPTION_UPDATE = (
    "billing_cycle_anchor default_allowed_updates products proration_behavior schedule_at_period_end"
    " trial_update_behavior"
)


def _without(names: str) -> Nested:
    """A feature that can only be off here: there are no subscriptions."""
    return Nested(dict.fromkeys(names.split(), Unsupported()) | {"enabled": Boolean(only=False)})


FEATURES = Nested(
    {
        "customer_update": Nested({"allowed_updates": Unsupported(), "enabled": Boolean(only=False)}),
        "invoice_history": Nested({"enabled": Boolean(required=True)}),
        "payment_method_update": Nested(
            {"enabled": Boolean(required=True), "payment_method_configuration": Unsupported()}
        ),
        "subscription_cancel": _without(SUBSCRIPTION_CANCEL),
        "subscription_update": _without(SUBSCRIPTION_UPDATE),
    },
    required=True,
)
CONFIGURE: dict[str, Field] = {
    **EXPAND,
    "business_profile": Nested(
        dict.fromkeys(("headline", "privacy_policy_url", "terms_of_service_url"), CLEARABLE)
    ),
    "default_return_url": CLEARABLE,
    "features": FEATURES,
    "login_page": Nested({"enabled": Boolean(required=True, only=False)}),
    "metadata": Metadata(),
    "name": CLEARABLE,
}
FLOW = Nested(
    {
        "after_completion": Nested(
            {
                "hosted_confirmation": Nested({"custom_message": Text(longest=500)}),
                "redirect": Nested({"return_url": Address(required=True)}),
                "type": Text(required=True, choices=("hosted_confirmation", "portal_homepage", "redirect")),
            }
        ),
        "subscription_cancel": Unsupported(),
        "subscription_update": Unsupported(),
        "subscription_update_confirm": Unsupported(),
        "type": Text(required=True, choices=("payment_method_update",)),
    }
)


def default_configuration(ctx: Context) -> Record:
    """Stripe wants it saved once in its dashboard; here it is there from the first question on."""
    found = ctx.store.select("kind = ?", [CONFIGURATION], limit=1)
    return found[0] if found else _new_configuration(ctx, {"features": {}}, is_default=True)


def _new_configuration(ctx: Context, params: Params, *, is_default: bool) -> Record:
    fields: Json = {
        "active": True,
        "application": None,
        "business_profile": dict.fromkeys(("headline", "privacy_policy_url", "terms_of_service_url")),
        "default_return_url": None,
        "features": _features(params["features"], default=is_default),
        "is_default": is_default,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": ctx.now,
    }
    return ctx.create(CONFIGURATION, new_id(CONFIGURATION), fields | _told(fields, params))


def _told(old: Json, params: Params) -> Json:
    new: Json = {name: params[name] or None for name in ("default_return_url", "name") if name in params}
    if "metadata" in params:
        new["metadata"] = merged(old["metadata"], params["metadata"])
    if "business_profile" in params:
        given = {name: value or None for name, value in params["business_profile"].items()}
        new["business_profile"] = old["business_profile"] | given
    return new


def _features(given: Params, *, default: bool) -> Json:
    def enabled(name: str) -> bool:
        return bool(given.get(name, {}).get("enabled", default))

    reasons = {"enabled": False, "options": []}
    return {
        "customer_update": {"allowed_updates": [], "enabled": False},
        "invoice_history": {"enabled": enabled("invoice_history")},
        "payment_method_update": {
            "enabled": enabled("payment_method_update"),
            "payment_method_configuration": None,
        },
        "subscription_cancel": {
            "cancellation_reason": reasons,
            "enabled": False,
            "mode": "at_period_end",
            "proration_behavior": "none",
        },
        "subscription_update": {
            "billing_cycle_anchor": None,
            "default_allowed_updates": [],
            "enabled": False,
            "proration_behavior": "none",
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    }


def _configure(ctx: Context, params: Params) -> Json:
    default_configuration(ctx)
    record = _new_configuration(ctx, params, is_default=False)
    return shown(ctx, CONFIGURATION, record.id, params)


def _reconfigure(ctx: Context, params: Params, key: str) -> Json:
    record = ctx.get(CONFIGURATION, key)
    record.body |= _told(record.body, params) | {"updated": ctx.now}
    if "active" in params:
        record.body["active"] = params["active"]
    for name, given in params.get("features", {}).items():
        record.body["features"][name] |= given
    ctx.store.save(record)
    return shown(ctx, CONFIGURATION, key, params)


def _configurations(ctx: Context, params: Params) -> Json:
    default_configuration(ctx)
    names = [name for name in ("active", "is_default") if name in params]
    where = [(f"json_extract(body, '$.{name}') = ?", params[name]) for name in names]
    return page(ctx, CONFIGURATIONS, CONFIGURATION, params, where)


def _create(ctx: Context, params: Params) -> Json:
    customer = ctx.get("customer", params["customer"], param="customer")
    configuration = default_configuration(ctx)
    if "configuration" in params:
        configuration = ctx.get(CONFIGURATION, params["configuration"], param="configuration")
    back = params.get("return_url", configuration.body["default_return_url"])
    after = params.get("flow_data", {}).get("after_completion", {})
    if after.get("type") == "redirect" and "redirect" not in after:
        name = "flow_data[after_completion][redirect]"
        raise invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
    token = f"test_{random_text(40)}"
    fields = {
        "configuration": configuration.id,
        "customer": customer.id,
        "customer_account": None,
        "flow": _flow(params["flow_data"]) if "flow_data" in params else None,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": back,
        "url": f"{ctx.settings.base_url}/p/session/{token}",
    }
    record = ctx.create(KIND, new_id(KIND), fields, {"token": token, "intent": None})
    return dict(record.body)


def _flow(given: Params) -> Json:
    after = given.get("after_completion", {"type": "portal_homepage"})
    confirmation = after.get("hosted_confirmation", {"custom_message": None})
    return {
        "after_completion": {
            "hosted_confirmation": confirmation if after["type"] == "hosted_confirmation" else None,
            "redirect": after.get("redirect"),
            "type": after["type"],
        },
        "subscription_cancel": None,
        "subscription_update": None,
        "subscription_update_confirm": None,
        "type": given["type"],
    }


def by_token(ctx: Context, token: str) -> Record | None:
    """The session whose page this is, while it lasts and the customer does."""
    where = "kind = ? AND json_extract(private, '$.token') = ? AND created > ?"
    found = ctx.store.select(where, [KIND, token, ctx.now - LASTS_S])
    return found[0] if found and ctx.store.find("customer", found[0].body["customer"]) else None


def card_of(ctx: Context, session: Record, key: str) -> Record:
    """A saved card of the session's customer; ApiError where it is somebody else's."""
    method = ctx.get(payment_methods.KIND, key)
    if method.body["customer"] != session.body["customer"]:
        raise invalid("This card is not saved any more.", param="payment_method")
    return method


ROUTES = [
    Route(
        "POST",
        SESSIONS,
        _create,
        {
            **EXPAND,
            "configuration": Text(),
            "customer": Text(required=True),
            "customer_account": Unsupported(),
            "flow_data": FLOW,
            "locale": Text(choices=locales.PORTAL),
            "on_behalf_of": Unsupported(),
            "return_url": Address(),
        },
    ),
    Route("POST", CONFIGURATIONS, _configure, CONFIGURE),
    Route("GET", CONFIGURATIONS, _configurations, {**PAGING, "active": Boolean(), "is_default": Boolean()}),
    retrieve(CONFIGURATIONS, CONFIGURATION),
    Route(
        "POST",
        CONFIGURATIONS + "/{id}",
        _reconfigure,
        {**CONFIGURE, "features": Nested(FEATURES.fields), "active": Boolean()},
    ),
]
