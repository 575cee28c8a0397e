"""Signing in, not more often than a person mistypes: each try costs 100 MiB and a third of a second (Argon2)."""

from __future__ import annotations

import threading

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stanchion_server.kernel import clock
from stanchion_server.kernel.rate import TokenBuckets

# By address and name, so that nobody locks out another; by address alone, so that no machine tries many names.
_by_name = TokenBuckets(rate_per_s=0.1, burst=10, max_names=10_000)
_by_address = TokenBuckets(rate_per_s=0.5, burst=30, max_names=10_000)
_hashing = threading.BoundedSemaphore(2)
_WAIT_S = 2.0


class Login(LoginView):
    template_name = "pages/login.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: str, **kwargs: object) -> HttpResponse:
        """429 after too many wrong passwords, without looking at this one."""
        if not _hashing.acquire(timeout=_WAIT_S):
            return _refused(request, 503, "Too many people are signing in. Try again in a moment.", 1)
        try:
            now_s = clock.monotonic_s()
            if _by_address.has_token(_address(request), now_s) and _by_name.has_token(_name(request), now_s):
                return super().post(request, *args, **kwargs)
        finally:
            _hashing.release()
        return _refused(request, 429, "Too many wrong passwords from your address. Wait a minute, then try again.", 60)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        now_s = clock.monotonic_s()
        _by_address.take(_address(self.request), now_s)
        _by_name.take(_name(self.request), now_s)
        return super().form_invalid(form)


def _refused(request: HttpRequest, status: int, message: str, retry_after_s: int) -> HttpResponse:
    context = {"title": "That does not work", "message": message}
    response = render(request, "pages/error.html", context, status=status)
    response["Retry-After"] = str(retry_after_s)
    return response


def forget_failures() -> None:
    _by_name.clear()
    _by_address.clear()


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _name(request: HttpRequest) -> str:
    return f"{_address(request)} {request.POST.get('username', '')[:150].lower()}"
