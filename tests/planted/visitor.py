"""Somebody who goes through a site with keys in hand, and puts them wherever anything can be put.

Every answer is looked through: a key may stand in the one that shows it, and in no other.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from tests.planted.needles import traces

# What would end the visit. Closing the account asks for a password first, so it may be tried.
NOT_SENT = ("logout",)
NUMBERS = re.compile(r"[0-9a-f-]{36}|[0-9]+")
TYPED = {"text", "search", "email", "password", "number", "hidden", "tel", "url", ""}


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)


class Forms(HTMLParser):
    """The forms of a page, and the addresses that it links to."""

    def __init__(self, page: str, address: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.links: list[str] = []
        self._address, self._open, self._select = address, False, ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(given.get("href", ""))
        if tag == "form":
            self._open = True
            self.found.append(Form(given.get("action") or self._address, given.get("method", "get").lower()))
        name = given.get("name", "")
        if not self._open or not name:
            if tag == "option" and self._select and ("selected" in given or self._select not in self._fields):
                self._fields[self._select] = given.get("value", "")
            return
        if tag == "select":
            self._select = name
        elif tag == "textarea" or (tag == "input" and given.get("type", "") in TYPED):
            self._fields[name] = given.get("value", "")
            self.found[-1].typed.append(name)
        elif tag in {"input", "button"} and (given.get("type") != "radio" or "checked" in given):
            self._fields.setdefault(name, given.get("value", "on"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False
        if tag == "select":
            self._select = ""

    @property
    def _fields(self) -> dict[str, str]:
        return self.found[-1].fields if self.found else {}


class Visitor:
    """A browser without a screen. `found` tells of every answer that held a key."""

    def __init__(self, base_url: str, texts: Iterable[str] = ()) -> None:
        self.base_url = base_url
        self.texts = list(texts)
        self.session = requests.Session()
        self.found: list[str] = []
        self.statuses: dict[int, int] = {}

    def ask(self, method: str, path: str, *, may_show: bool = False, **more: Any) -> requests.Response:
        answer = self.session.request(method, self.base_url + path, allow_redirects=False, timeout=30, **more)
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        if not may_show:
            said = answer.content + repr(sorted(answer.headers.items())).encode()
            self.found += traces(self.texts, f"the answer {answer.status_code} to {method} {path[:60]}", said)
        return answer

    def page(self, path: str) -> Forms:
        for _ in range(5):
            answer = self.ask("GET", path)
            if answer.status_code not in {301, 302, 303}:
                break
            path = urlsplit(answer.headers["Location"]).path
        return Forms(answer.text if "html" in answer.headers.get("Content-Type", "") else "", path)

    def send(self, form: Form, changes: Mapping[str, str], *, may_show: bool = False) -> requests.Response:
        fields = {**form.fields, **changes}
        where = urlsplit(form.action)
        path = where.path + (f"?{where.query}" if where.query else "")
        if form.method == "get":
            return self.ask("GET", path, params=fields)
        headers = {"Referer": f"{self.base_url}{path}"}
        return self.ask("POST", path, data=fields, headers=headers, may_show=may_show)

    def plant(self, page: Forms, text: str, *, alone: bool = True) -> int:
        """Put the key into every form of the page: into all fields together, then into each alone. Returns how often."""
        sent = 0
        for form in page.found:
            if any(word in form.action for word in NOT_SENT) or urlsplit(form.action).netloc:
                continue
            fields = [name for name in form.typed if name != "csrfmiddlewaretoken"]
            each = [[name] for name in fields] if alone and len(fields) > 1 else []
            for chosen in [fields, *each] if fields else []:
                # Without a name a form is refused for that alone.
                name = {"name": "A name"} if form.fields.get("name") == "" else {}
                answer = self.send(form, name | dict.fromkeys(chosen, text))
                assert answer.status_code < 500, (form.action, chosen, answer.status_code)
                sent += 1
        return sent

    def pages(self, *starts: str, below: str | tuple[str, ...]) -> Iterator[Forms]:
        """What these pages lead to, and they: one of each kind, whose addresses differ in numbers alone."""
        kinds: set[str] = set()
        waiting = list(starts)
        while waiting:
            path = waiting.pop(0).split("#")[0]
            kind = NUMBERS.sub("n", path)
            if (
                kind in kinds
                or not path.startswith(below)
                or "?" in path
                or any(word in path for word in NOT_SENT)
            ):
                continue
            kinds.add(kind)
            page = self.page(path)
            waiting += [urljoin(path, link) for link in page.links]
            yield page
