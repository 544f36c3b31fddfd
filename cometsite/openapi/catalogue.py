"""The price list for programs."""

from typing import Any

from cometsite.openapi.account_examples import MODEL
from cometsite.openapi.asking import rows, told
from cometsite.openapi.parts import headed, ref, refusal

TAG = "Catalogue"
TAGS = [{"name": TAG, "description": "Models and prices, for anybody, and for programs on any site."}]

KNOWN = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of an answer that is at hand.",
    "schema": {"type": "string"},
}
ETAG = {"ETag": ("For `If-None-Match`.", {"type": "string"})}
OTHERS = {
    "304": headed(
        {"description": "Nothing changed since the answer with the `ETag` that `If-None-Match` names."}, ETAG
    ),
    "400": refusal(
        "A full key, or what no address may have, stands in the address.", "An address must hold no NUL."
    ),
    "405": {"description": "Another method; the answer is empty."},
    "500": refusal("A mistake of ours.", "This is our mistake."),
    "503": refusal("The database does not answer.", "The database does not answer. Ask again."),
}
CODE = {
    "name": "code",
    "in": "path",
    "required": True,
    "description": "`code` or `id` of a listed model.",
    "example": MODEL["code"],
    "schema": {"type": "string", "minLength": 1},
}


def operation(name: str, summary: str, description: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": [TAG],
        "summary": summary,
        "description": description,
        "security": [],
        "parameters": [*parameters, KNOWN],
    }


MODELS = {
    **operation(
        "listModels",
        "All models for sale",
        "Prices are those of the list; a customer group may have others.",
        [],
    ),
    "responses": {"200": headed(told("The list.", rows("ListedModel"), [MODEL]), ETAG), **OTHERS},
}
ONE_MODEL = {
    **operation("getModel", "One model", "By its code or its full name.", [CODE]),
    "responses": {
        "200": headed(told("The model.", ref("ToldModel"), {**MODEL, "overview": "GPT-4.1"}), ETAG),
        **OTHERS,
        "404": refusal("There is none.", "There is no model of this code."),
    },
}
PATHS: dict[str, Any] = {
    "/api/models": {"get": MODELS},
    "/api/model/{code}": {"get": ONE_MODEL},
}
