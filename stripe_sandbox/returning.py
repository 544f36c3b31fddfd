"""Where a session's page leads when it is done with, and what it then says."""

from urllib.parse import urlsplit

from .http import Answer
from .store import Json
from .templating import Markup, fill, page


def dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"


def success_url(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def cancel_url(session: Json) -> str | None:
    address = session["cancel_url"]
    return address and str(address).replace("{CHECKOUT_SESSION_ID}", session["id"])


def link(key: str, address: str | None, text: str) -> Markup:
    return fill("link.html", key=key, address=address, text=text) if address else Markup()


def shop(address: str) -> str:
    """The host that a page of somebody else's leads back to."""
    return urlsplit(address).netloc


def origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def over(session: Json, title: str, text: str) -> Answer:
    """The page of a session that is complete or expired."""
    done = session["status"] == "complete"
    address = success_url(session) if done else cancel_url(session)
    back = link("return", address, f"Back to {shop(session['success_url'])}")
    return page(title, fill("message.html", title=title, text=text, link=back))


def message(title: str, text: str, status: int) -> Answer:
    back = link("dashboard", "/", "Open the sandbox's dashboard")
    return page(title, fill("message.html", title=title, text=text, link=back), status=status)


def error_box(text: str) -> Markup:
    return fill("error.html", text=text) if text else Markup()
