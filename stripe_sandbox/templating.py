"""Pages from the files in `html/`: `$name` is filled in, escaped unless it is markup already."""

from html import escape
from pathlib import Path
from string import Template

from .http import Answer

FOLDER = Path(__file__).parent / "html"
STYLE = (FOLDER / "sandbox.css").read_bytes()


class Markup(str):
    """Text that is HTML already."""


def fill(file: str, /, **values: str | int) -> Markup:
    template = Template((FOLDER / file).read_text())
    safe = {key: value if isinstance(value, Markup) else escape(str(value)) for key, value in values.items()}
    return Markup(template.substitute(safe))


def joined(parts: list[Markup]) -> Markup:
    return Markup("".join(parts))


def page(title: str, content: Markup, *, status: int = 200, form_targets: str = "") -> Answer:
    """A whole page. A form's redirect counts as its target: `form_targets` is where payments return to."""
    policy = (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none';"
        f" form-action 'self' {form_targets}"
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy.strip(),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return Answer(status, fill("page.html", title=title, content=content), headers)


def style() -> Answer:
    headers = {"Content-Type": "text/css; charset=utf-8", "Cache-Control": "no-cache"}
    return Answer(200, STYLE, headers)
