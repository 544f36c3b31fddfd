"""Which address calls what."""

import pytest

from gateway import routes
from gateway.routes import Route, Style


@pytest.mark.parametrize("base", ["/v1/", "/", "/v1/chat/completions/", "/chat/completions/", "/v1/v1/"])
@pytest.mark.parametrize("rest", ["chat/completions", "messages", "responses", "embeddings", "audio/speech"])
@pytest.mark.parametrize("end", ["", "/"])
def test_every_base_url_leads_to_the_same(base: str, rest: str, end: str) -> None:
    found = routes.call_of(f"{base}{rest}{end}")
    assert found is not None
    assert found.path == f"/v1/{rest}"
    assert found.style is (Style.ANTHROPIC if rest == "messages" else Style.OPENAI)


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/", "/v1/chat/completions/models"])
def test_models_are_found_under_every_base_url(path: str) -> None:
    assert routes.listed(path) == ""


@pytest.mark.parametrize(
    "path", ["/v1/models/gpt-4o", "/models/gpt-4o/", "/v1/chat/completions/models/gpt-4o"]
)
def test_one_model_is_found_there_too(path: str) -> None:
    assert routes.listed(path) == "gpt-4o"


@pytest.mark.parametrize("path", ["/", "/v1/modelsx", "/v1/model", "/v1/files"])
def test_what_lists_no_models(path: str) -> None:
    assert routes.listed(path) is None


@pytest.mark.parametrize("base", ["/v1beta/", "/v1/", "/"])
def test_google_says_model_and_stream_in_the_address(base: str) -> None:
    whole = routes.call_of(f"{base}models/gemini-2.5-flash:generateContent")
    stream = routes.call_of(f"{base}models/gemini-2.5-flash:streamGenerateContent")
    path = "/v1beta/models/gemini-2.5-flash:"
    assert whole == Route(f"{path}generateContent", Style.GOOGLE, model="gemini-2.5-flash")
    assert stream == Route(
        f"{path}streamGenerateContent", Style.GOOGLE, model="gemini-2.5-flash", is_stream=True
    )


@pytest.mark.parametrize("path", ["audio/transcriptions", "audio/translations", "images/edits"])
def test_files_come_in_forms(path: str) -> None:
    found = routes.call_of(f"/v1/{path}")
    assert found is not None
    assert found.is_form


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/models",
        "/key/generate",
        "/v1/files",
        "/v1/moderations",
        "/v1/batches",
        "/model/new",
        "/config/update",
        "/v1/responses/resp_1",
        "/v1/messages/batches",
        "/v1/messages/count_tokens",
        "/openai/deployments/gpt-4o/chat/completions",
        "/v1beta/models/gemini-2.5-flash:countTokens",
        "/v1beta/models/a:b:generateContent",
        "/health",
    ],
)
def test_nothing_else_of_litellm_is_reached(path: str) -> None:
    assert routes.call_of(path) is None


@pytest.mark.parametrize(
    ("path", "headers", "style"),
    [
        ("/v1/messages/batches", {}, Style.ANTHROPIC),
        ("/v1/nothing", {"anthropic-version": "2023-06-01"}, Style.ANTHROPIC),
        ("/v1beta/nothing", {}, Style.GOOGLE),
        ("/v1/nothing", {"x-goog-api-key": "sk-1"}, Style.GOOGLE),
        ("/v1/nothing", {}, Style.OPENAI),
    ],
)
def test_an_error_has_the_format_that_the_client_seems_to_expect(
    path: str, headers: dict[str, str], style: Style
) -> None:
    assert routes.style_of(path, headers) is style
