"""The page of a session in setup mode: the shopper saves a card, each with what comes of it later."""

from . import params, setup_intents, setup_sessions
from .context import Context
from .errors import ApiError
from .http import Answer, Request, see_other
from .returning import cancel_url, error_box, link, origin, over, shop, success_url
from .store import Json, Record
from .templating import Markup, fill, joined, page

CHOICES = (
    ("visa", "Card that works", "Visa ending in 4242, saved and charged without trouble"),
    ("mastercard", "Another card that works", "Mastercard ending in 4444"),
    ("authenticates_once", "Card that asks now", "Visa ending in 3155, its bank asks once, then it works"),
    ("authenticates", "Card that always asks", "Visa ending in 3184, later payments need the person"),
    ("declines_later", "Card that is declined later", "Visa ending in 0341, can be saved, cannot be charged"),
    ("expires_later", "Card that expires later", "Visa ending in 1117, later payments are refused"),
    ("processing", "Card that takes its time", "Visa ending in 1125, later payments are pending first"),
    ("declined", "Card that cannot be saved", "Visa ending in 0002, declined at once"),
)


def act(ctx: Context, record: Record, request: Request) -> Answer:
    """A try in a session that is open."""
    try:
        fields = dict(params.pairs(request.body.decode(errors="replace")))
        with ctx.store.savepoint():
            intent = _done(ctx, record, fields)
    except ApiError as error:
        return show(ctx, record, error=error.message, status=error.status)
    if record.body["status"] == "complete":
        return see_other(success_url(record.body))
    failure = intent.body["last_setup_error"]
    text = f"{failure['message']} No card was saved. You can choose another one." if failure else ""
    return show(ctx, record, error=text)


def _done(ctx: Context, record: Record, fields: dict[str, str]) -> Record:
    if "authentication" in fields:
        return setup_sessions.authenticate(ctx, record, succeeds=fields["authentication"] == "succeeds")
    return setup_sessions.save_card(ctx, record, fields.get("card", ""))


def show(ctx: Context, record: Record, *, error: str = "", status: int = 200) -> Answer:
    session = record.body
    if session["status"] == "expired":
        return over(session, "This checkout has expired", "No card was saved. Go back and start again.")
    if session["status"] == "complete":
        return over(session, "This checkout is complete", "The card was saved. You can close this page.")
    intent = ctx.get(setup_intents.KIND, session["setup_intent"])
    asks = intent.body["status"] == "requires_action"
    content = fill(
        "setup.html",
        shop=shop(session["success_url"]),
        error=error_box(error),
        title="Your bank wants to know that it is you" if asks else "Which card should be saved?",
        choices=joined(authentication() if asks else choices(CHOICES)),
        payer=_payer(session),
        cancel=link("cancel", cancel_url(session), "Cancel and go back"),
    )
    return page("Save a card", content, status=status, form_targets=origin(session["success_url"]))


def choices(rows: tuple[tuple[str, str, str], ...]) -> list[Markup]:
    """A button for each card, with `save-NAME` as its id."""
    return [
        fill("save.html", card=name, key=f"save-{name.replace('_', '-')}", label=label, hint=hint)
        for name, label, hint in rows
    ]


def authentication() -> list[Markup]:
    return [
        fill(
            "authenticate.html",
            outcome="succeeds",
            key="authenticate",
            label="Yes, it is me",
            hint="The card is saved",
        ),
        fill(
            "authenticate.html",
            outcome="fails",
            key="authenticate-fails",
            label="No, refuse",
            hint="The card is not saved",
        ),
    ]


def _payer(session: Json) -> Markup:
    email = (session["customer_details"] or {}).get("email")
    return fill("owner.html", email=email) if email else Markup()
