"""Where keys that were found in public are reported."""

from typing import Any

from cometsite.openapi.parts import JSON, RETRY_AFTER, also, headed, ref
from cometsite.openapi.shapes import many, shape, text
from tokens.leak_views import LARGEST_REPORT, LONGEST_KEY_ID, LONGEST_SIGNATURE

TAG = "Leaked keys"
TAGS = [
    {
        "name": TAG,
        "description": "For whoever searches public code for keys, in the way of GitHub's secret scanning.",
    }
]
SCHEMAS: dict[str, Any] = {
    "Finding": shape(
        "A text that was found. Another form is left out of the answer.",
        {
            "token": text("What was found."),
            "type": text("The finder's name for this sort of text."),
            "url": text("Where it was found."),
            "source": text("In what: a commit, an issue, a comment."),
        },
        optional=("url", "source"),
    ),
    "FindingLabel": shape(
        "What the text is.",
        {
            "token_hash": text("SHA-256 of the text, in hexadecimal.", pattern="^[0-9a-f]{64}$"),
            "token_type": text("As it was sent, cut."),
            "label": text(
                "Whether it is or was a key of ours; if so it is revoked.",
                enum=["true_positive", "false_positive"],
            ),
        },
    ),
    "LeakRefusal": shape("Why nothing was done.", {"message": text("A sentence for people.")}),
}


def _refusal(description: str, message: str) -> dict[str, Any]:
    content = {JSON: {"schema": ref("LeakRefusal"), "example": {"message": message}}}
    return {"description": description, "content": content}


def _signing(name: str, description: str, longest: int) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1, "maxLength": longest},
    }


REPORT = {
    "operationId": "reportLeakedKeys",
    "tags": [TAG],
    "summary": "Keys that were found in public",
    "description": (
        "Each that is a key of ours is revoked, and its owner is told. Safe to send again. Off where the operator named no "
        "public keys; answers without the last slash too."
    ),
    "security": [],
    "parameters": [
        _signing("Github-Public-Key-Identifier", "Which of the finder's keys signed.", LONGEST_KEY_ID),
        _signing(
            "Github-Public-Key-Signature",
            "ECDSA over P-256 with SHA-256 of the raw body, in Base64.",
            LONGEST_SIGNATURE,
        ),
    ],
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": many(ref("Finding"), "What was found."),
                "example": [
                    {
                        "token": "sk-...",
                        "type": "comet_api_key",
                        "url": "https://example.com/config.py",
                        "source": "commit",
                    }
                ],
            }
        },
    },
    "responses": {
        "200": {
            "description": "One label for each finding.",
            "content": {
                JSON: {
                    "schema": many(ref("FindingLabel"), "In the order sent."),
                    "example": [
                        {
                            "token_hash": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                            "token_type": "comet_api_key",
                            "label": "false_positive",
                        }
                    ],
                }
            },
        },
        "400": _refusal(
            "Signed, but no list of findings; or what no address may have stands in it.",
            "The body must be a list.",
        ),
        "401": _refusal("No signature, or one that is not good.", "The signature does not fit the body."),
        "404": {
            "description": "Turned off.",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        "405": {"description": "Another method; the answer is empty."},
        "413": _refusal(
            f"The body is larger than {LARGEST_REPORT:,} bytes.",
            f"A report may have at most {LARGEST_REPORT} bytes.",
        ),
        "503": headed(
            _refusal(
                "The finder's public keys can't be read.",
                "The public key can't be looked up now. Send this again.",
            ),
            RETRY_AFTER,
        ),
    },
}
PATHS: dict[str, Any] = {
    "/tokens/leaks/": {"post": REPORT},
    "/tokens/leaks": {"post": also(REPORT, "/tokens/leaks/")},
}
