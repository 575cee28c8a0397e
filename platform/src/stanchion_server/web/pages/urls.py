"""Addresses of the pages. Two of a project's pages never share a name, and none redirects for a slash."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, path

from stanchion_server.web.pages import (
    calls,
    entry,
    intake,
    keys,
    login,
    overview,
    prices,
    radar,
    rating,
    sessions,
    setup,
    trace,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", entry.home, name="home"),
    path("login", login.Login.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("theme", entry.theme, name="theme"),
    path("p/<slug:slug>/overview", overview.overview, name="overview"),
    path("p/<slug:slug>/calls", calls.calls, name="calls"),
    path("p/<slug:slug>/sessions", sessions.sessions, name="sessions"),
    path("p/<slug:slug>/traces/<str:trace_id>", trace.trace, name="trace"),
    path("p/<slug:slug>/traces/<str:trace_id>/rate", rating.rate, name="rate_trace"),
    path("p/<slug:slug>/traces/<str:trace_id>/<str:span_id>/rate", rating.rate, name="rate_span"),
    path("p/<slug:slug>/traces/<str:trace_id>/<str:span_id>", trace.trace, name="span"),
    path("p/<slug:slug>/intake", intake.intake, name="intake"),
    path("p/<slug:slug>/radar", radar.radar, name="radar"),
    path("p/<slug:slug>/setup", setup.setup, name="setup"),
    path("p/<slug:slug>/setup/first-span", setup.first_span, name="first_span"),
    path("p/<slug:slug>/settings/keys", keys.keys, name="keys"),
    path("p/<slug:slug>/settings/keys/<slug:key_id>/revoke", keys.revoke, name="revoke_key"),
    path("p/<slug:slug>/settings/prices", prices.prices, name="prices"),
]
