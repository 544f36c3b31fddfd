"""schemathesis asks every operation of the OpenAPI document: no 5xx, and no answer that doesn't stand in the document.

Against the real WSGI application and database, with real keys of each kind. `make fuzz` does it with 2,000 examples for
each operation; a seed repeats a run that failed.
"""

import json
from collections import Counter
from typing import Any

import hypothesis
import pytest
import schemathesis
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.http import HttpResponse
from hypothesis import HealthCheck, Phase, given
from pytest_django import Settings
from schemathesis import checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi_checks

from tests.api.checking import DOCUMENT, assert_documented
from tests.books import assert_books
from tests.fuzz.door import KEY_ID, Door
from tests.fuzz.figures import EXAMPLES, FIGURES, SEED
from tests.fuzz.questions import Operation, Question, questions
from tests.fuzz.world import World
from tokens import leaks
from wallet import tasks

SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS: list[Operation] = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]


@pytest.fixture
def world(transactional_db: None) -> World:
    return World()


@pytest.fixture
def door(world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Door:
    settings.API_QUESTIONS_PER_MINUTE = 10**9
    settings.LEAK_REPORT_KEYS_URL = "https://finder.example/keys"
    public = world.finder.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    listed = {"public_keys": [{"key_identifier": KEY_ID, "key": public.decode()}]}
    monkeypatch.setattr(leaks, "_fetched", lambda: json.dumps(listed).encode())
    leaks.forget()
    monkeypatch.setattr(tasks, "hint", lambda event_id: None)
    return Door(world.finder)


def test_every_operation_is_asked() -> None:
    SCHEMA.validate()  # by the form of OpenAPI 3.1
    assert len(OPERATIONS) == sum(len(item) for item in DOCUMENT["paths"].values()) > 30


@pytest.mark.timeout(max(300, EXAMPLES))
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_answer_is_undocumented(operation: Operation, world: World, door: Door) -> None:
    statuses = FIGURES[operation.label] = Counter()

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(question=questions(operation, world))
    def ask(question: Question) -> None:
        door.signs = question.is_signed
        answer = question.case.call(app=door)
        statuses[answer.status_code] += 1
        question.case.validate_response(answer, checks=CHECKS)
        assert_documented(_as_django_has_it(answer), operation.method, operation.path)

    ask()
    assert min(statuses) < 300, f"{operation.label} was never answered but with a refusal"
    assert_books()


def _as_django_has_it(answer: Any) -> HttpResponse:
    headers = {name: values[0] for name, values in answer.headers.items()}
    return HttpResponse(answer.content, status=answer.status_code, headers=headers)
