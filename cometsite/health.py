"""Whether the process is up, and whether it is ready to serve."""

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from kombu import Connection

from logs.archive import folder
from wallet.reconciliation import runs

_migrated = False


@csrf_exempt
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 without the database or with migrations missing; `degraded` without broker or cache, since charging goes on,
    and where it is not certain that our books are equal to Stripe's, or archived calls can't be read."""
    try:
        if not _is_migrated():
            return JsonResponse({"status": "unavailable", "problems": ["migrations are missing"]}, status=503)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        others = [*runs.problems(), folder.problem()]
    except (DatabaseError, OSError):
        return JsonResponse(
            {"status": "unavailable", "problems": ["the database does not answer"]}, status=503
        )
    problems = [problem for problem in (_broker_problem(), _cache_problem(), *others) if problem]
    return JsonResponse({"status": "degraded" if problems else "ok", "problems": problems})


def _is_migrated() -> bool:
    """Looked up until it is true once; a process never sees its migrations go away."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def _broker_problem() -> str:
    try:
        with Connection(
            settings.CELERY_BROKER_URL, connect_timeout=1, transport_options={"max_retries": 0}
        ) as broker:
            broker.ensure_connection(max_retries=1, timeout=1)
    except Exception:  # whatever a broker's client raises, the answer is the same
        return "the broker does not answer; jobs wait in the database"
    return ""


def _cache_problem() -> str:
    try:
        cache.get("readyz")
    except Exception:  # as above
        return "the cache does not answer; sign-in limits can't be kept, so signing in is refused"
    return ""
