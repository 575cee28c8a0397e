"""Pages that another program made: shown without our origin, our cookies or any address but themselves."""

from __future__ import annotations

from django.http import HttpResponse

POLICY = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'unsafe-inline' 'unsafe-eval'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def page(html: bytes, name: str, *, is_download: bool) -> HttpResponse:
    """Scripts run in an origin of their own: they read no cookie and reach no server."""
    response = HttpResponse(html, content_type="text/html; charset=utf-8")
    response["Content-Security-Policy"] = POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, no-store"
    manner = "attachment" if is_download else "inline"
    response["Content-Disposition"] = f'{manner}; filename="{name}"'
    return response
