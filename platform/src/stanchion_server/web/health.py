"""Is this process alive, and can it do its work?"""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from stanchion_server.routes import telemetry

_has_migrated = False


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is looked at, so that a lost database restarts nobody."""
    return HttpResponse(b"ok", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and has every migration, else 503 with what is missing."""
    try:
        problem = _problem()
    except DatabaseError:
        connection.close()
        problem = "the database does not answer"
    if problem:
        return JsonResponse({"ready": False, "problem": problem}, status=503)
    telemetry.write_refusals()
    return JsonResponse({"ready": True})


def _problem() -> str:
    """Migrations are looked up until they are complete, then only the connection is tried."""
    global _has_migrated
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if not _has_migrated:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return "migrations are not applied"
        _has_migrated = True
    return ""
