"""Where leaked keys are reported. Off, and not to be found, while the operator has set no LEAK_REPORT_KEYS_URL."""

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tokens import leaks

LARGEST_REPORT = 1024 * 1024
LONGEST_KEY_ID = 200
LONGEST_SIGNATURE = 200
RETRY_AFTER_S = 60


@csrf_exempt
@require_POST
def report(request: HttpRequest) -> HttpResponse:
    """Answers each finding with a label. 401 without a good signature, 503 where it can't be checked now."""
    if not leaks.is_on():
        raise Http404
    key_id = request.headers.get("Github-Public-Key-Identifier", "")
    signature = request.headers.get("Github-Public-Key-Signature", "")
    if not 0 < len(key_id) <= LONGEST_KEY_ID or not 0 < len(signature) <= LONGEST_SIGNATURE:
        return _refusal(401, "Sign the body, and name the public key.")
    try:
        body = request.read(LARGEST_REPORT + 1)
        if len(body) > LARGEST_REPORT:
            return _refusal(413, f"A report may have at most {LARGEST_REPORT} bytes.")
        leaks.check_signature(body, key_id, signature)
        return JsonResponse(leaks.end(leaks.read(body)), safe=False)
    except leaks.NotSigned as error:
        return _refusal(401, str(error))
    except (leaks.Malformed, UnreadablePostError) as error:
        return _refusal(400, str(error))
    except leaks.KeysUnavailable:
        response = _refusal(503, "The public key can't be looked up now. Send this again.")
        response["Retry-After"] = str(RETRY_AFTER_S)
        return response


def _refusal(status: int, message: str) -> HttpResponse:
    return JsonResponse({"message": message}, status=status)
