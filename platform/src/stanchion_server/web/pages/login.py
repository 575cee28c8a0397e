"""Signing in, not more often than a person mistypes: each try costs 100 MiB and a third of a second (Argon2)."""

from __future__ import annotations

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stanchion_server.kernel import clock
from stanchion_server.kernel.rate import TokenBuckets

# By address and name, so that nobody locks out another; by address alone, so that no machine tries many names.
_by_name = TokenBuckets(rate_per_s=0.1, burst=10, max_names=10_000)
_by_address = TokenBuckets(rate_per_s=0.5, burst=30, max_names=10_000)


class Login(LoginView):
    template_name = "pages/login.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: str, **kwargs: object) -> HttpResponse:
        """429 after too many wrong passwords, without looking at this one."""
        now_s = clock.monotonic_s()
        address, name = _address(request), _name(request)
        if not _by_address.has_token(address, now_s) or not _by_name.has_token(name, now_s):
            message = "Too many wrong passwords from your address. Wait a minute, then try again."
            context = {"title": "That does not work", "message": message}
            response = render(request, "pages/error.html", context, status=429)
            response["Retry-After"] = "60"
            return response
        return super().post(request, *args, **kwargs)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        now_s = clock.monotonic_s()
        _by_address.take(_address(self.request), now_s)
        _by_name.take(_name(self.request), now_s)
        return super().form_invalid(form)


def forget_failures() -> None:
    _by_name.clear()
    _by_address.clear()


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _name(request: HttpRequest) -> str:
    return f"{_address(request)} {request.POST.get('username', '')[:150].lower()}"
