"""The portal's page: a customer's saved cards, to remove, to make the default, and to add to."""

import re
from collections.abc import Callable

from . import params, payment_methods, portal, setup_intents
from .cards import CARDS
from .context import Context
from .errors import ApiError, invalid
from .http import Answer, Request, see_other
from .returning import error_box, link, message, origin, shop
from .setup_page import CHOICES, authentication, choices
from .store import Json, Record
from .templating import Markup, fill, joined, page

ADDRESS = re.compile(r"/p/session/([A-Za-z0-9_]+)(/add)?")
BRANDS = {"visa": "Visa", "mastercard": "Mastercard", "amex": "American Express"}

type Action = Callable[[Context, Record, str], None]


def answer(ctx: Context, request: Request) -> Answer | None:
    """None where the address belongs to another page."""
    match = ADDRESS.fullmatch(request.path)
    if not match:
        return None
    session = portal.by_token(ctx, match[1])
    if session is None:
        return message("This link has expired", "Go back to the shop and open the portal again.", 404)
    adding = bool(match[2]) or (session.body["flow"] is not None and "done" not in session.private)
    if request.method == "POST":
        return _act(ctx, session, request, adding=adding)
    if request.method not in ("GET", "HEAD"):
        return message("Not possible", "This page is read with GET and changed with POST.", 405)
    return _add(ctx, session) if adding else _show(ctx, session)


def _act(ctx: Context, session: Record, request: Request, *, adding: bool) -> Answer:
    shown = _add if adding else _show
    try:
        fields = dict(params.pairs(request.body.decode(errors="replace")))
        with ctx.store.savepoint():
            if not adding:
                _change(ctx, session, fields)
                return see_other(_home(session))
            intent = _save(ctx, session, fields)
    except ApiError as error:
        return shown(ctx, session, error=error.message, status=error.status)
    if intent.body["status"] == "succeeded":
        return _finished(ctx, session, intent)
    failure = intent.body["last_setup_error"]
    return shown(ctx, session, error=f"{failure['message']} No card was saved." if failure else "")


def _change(ctx: Context, session: Record, fields: dict[str, str]) -> None:
    for name, action in ACTIONS.items():
        if name in fields:
            action(ctx, session, fields[name])
            return
    raise invalid("Nothing was chosen.")


def _remove(ctx: Context, session: Record, key: str) -> None:
    payment_methods.detach(ctx, portal.card_of(ctx, session, key))


def _make_default(ctx: Context, session: Record, key: str) -> None:
    method = portal.card_of(ctx, session, key)
    payment_methods.set_default(ctx, ctx.get("customer", session.body["customer"]), method.id)


ACTIONS: dict[str, Action] = {"remove": _remove, "default": _make_default}


def _save(ctx: Context, session: Record, fields: dict[str, str]) -> Record:
    """The setup intent behind this try; it is kept while the bank asks the person."""
    if "authentication" in fields:
        intent = ctx.get(setup_intents.KIND, session.private["intent"])
        setup_intents.authenticate(ctx, intent, succeeds=fields["authentication"] == "succeeds")
        return intent
    card = CARDS.get(fields.get("card", ""))
    if card is None:
        raise invalid("There is no such test card.", param="card")
    intent = setup_intents.create(ctx, session.body["customer"], allowed=None, data={})
    session.private["intent"] = intent.id
    ctx.store.save(session)
    setup_intents.confirm(ctx, intent, card)
    return intent


def _finished(ctx: Context, session: Record, intent: Record) -> Answer:
    """A new card is the default where there is none, and always where adding it was the purpose."""
    flow = session.body["flow"]
    customer = ctx.get("customer", session.body["customer"])
    if flow or customer.body["invoice_settings"]["default_payment_method"] is None:
        payment_methods.set_default(ctx, customer, intent.body["payment_method"])
    session.private["done"] = True
    ctx.store.save(session)
    after: Json = flow["after_completion"] if flow else {"type": "portal_homepage"}
    if after["type"] == "redirect":
        return see_other(after["redirect"]["return_url"])
    if after["type"] == "hosted_confirmation":
        text = after["hosted_confirmation"]["custom_message"] or "The card was saved."
        back = _back(session)
        return page("Done", fill("message.html", title="Done", text=text, link=back))
    return see_other(_home(session))


def _home(session: Record) -> str:
    return f"/p/session/{session.private['token']}"


def _back(session: Record) -> Markup:
    address = session.body["return_url"]
    return link("return", address, f"Back to {shop(address)}" if address else "")


def _show(ctx: Context, session: Record, *, error: str = "", status: int = 200) -> Answer:
    customer = ctx.get("customer", session.body["customer"]).body
    saved = payment_methods.saved(ctx, customer["id"])
    default = customer["invoice_settings"]["default_payment_method"]
    content = fill(
        "portal.html",
        customer=customer["email"] or customer["id"],
        error=error_box(error),
        cards=joined([_card(one.body, default=one.id == default) for one in saved])
        or fill("portal_none.html"),
        add=f"{_home(session)}/add",
        back=_back(session),
    )
    return page("Your saved cards", content, status=status, form_targets=_target(session))


def _card(method: Json, *, default: bool) -> Markup:
    card = method.get("card")
    name = "Bank account" if card is None else BRANDS.get(card["brand"], card["brand"])
    data = card or method[method["type"]]
    return fill(
        "portal_card.html",
        id=method["id"],
        name=name,
        last4=data["last4"],
        expires=f"Expires {card['exp_month']:02d}/{card['exp_year']}" if card else "",
        default=fill("portal_default.html") if default else fill("portal_choose.html", id=method["id"]),
    )


def _add(ctx: Context, session: Record, *, error: str = "", status: int = 200) -> Answer:
    key = session.private["intent"]
    asks = key is not None and ctx.get(setup_intents.KIND, key).body["status"] == "requires_action"
    content = fill(
        "portal_add.html",
        title="Your bank wants to know that it is you" if asks else "Add a card",
        error=error_box(error),
        choices=joined(authentication() if asks else choices(CHOICES)),
        cancel=link(
            "cancel", session.body["return_url"] if session.body["flow"] else _home(session), "Go back"
        ),
    )
    return page("Add a card", content, status=status, form_targets=_target(session))


def _target(session: Record) -> str:
    """Where a form may lead besides the portal itself."""
    flow = session.body["flow"] or {"after_completion": {"redirect": None}}
    redirect = flow["after_completion"]["redirect"]
    return origin(redirect["return_url"]) if redirect else ""
