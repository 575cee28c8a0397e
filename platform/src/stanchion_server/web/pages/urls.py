"""Addresses of the pages. Two of a project's pages never share a name, and none redirects for a slash."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, path

from stanchion_server.web.pages import (
    backtesting,
    bench,
    calls,
    deciding,
    effect,
    entry,
    forcing,
    guardrails,
    intake,
    keys,
    login,
    overview,
    policy,
    prices,
    radar,
    rating,
    sessions,
    setup,
    shadowing,
    trace,
    versions,
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
    path("p/<slug:slug>/guardrails", guardrails.guardrails, name="guardrails"),
    path("p/<slug:slug>/guardrails/bench", bench.bench, name="bench"),
    path("p/<slug:slug>/guardrails/decisions", deciding.decisions, name="decisions"),
    path("p/<slug:slug>/guardrails/decisions/<str:trace_id>/<str:span_id>", deciding.decision, name="decision"),
    path(
        "p/<slug:slug>/guardrails/decisions/<str:trace_id>/<str:span_id>/review",
        deciding.review,
        name="review_decision",
    ),
    path("p/<slug:slug>/guardrails/policies/<str:name>", policy.policy, name="policy"),
    path("p/<slug:slug>/guardrails/policies/<str:name>/problems", policy.problems, name="policy_problems"),
    path("p/<slug:slug>/guardrails/policies/<str:name>/publish", policy.publish, name="publish_policy"),
    path("p/<slug:slug>/guardrails/policies/<str:name>/archive", policy.archive, name="archive_policy"),
    path("p/<slug:slug>/guardrails/policies/<str:name>/force", forcing.force, name="policy_force"),
    path("p/<slug:slug>/guardrails/policies/<str:name>/versions", versions.versions, name="policy_versions"),
    path("p/<slug:slug>/guardrails/policies/<str:name>/effect", effect.effect, name="policy_effect"),
    path("p/<slug:slug>/guardrails/policies/<str:name>/shadow", shadowing.shadow, name="policy_shadow"),
    path("p/<slug:slug>/guardrails/policies/<str:name>/backtests", backtesting.backtests, name="policy_backtests"),
    path(
        "p/<slug:slug>/guardrails/policies/<str:name>/backtests/<int:number>",
        backtesting.backtest,
        name="policy_backtest",
    ),
    path(
        "p/<slug:slug>/guardrails/policies/<str:name>/backtests/<int:number>/cancel",
        backtesting.cancel,
        name="cancel_backtest",
    ),
    path("p/<slug:slug>/intake", intake.intake, name="intake"),
    path("p/<slug:slug>/radar", radar.radar, name="radar"),
    path("p/<slug:slug>/setup", setup.setup, name="setup"),
    path("p/<slug:slug>/setup/first-span", setup.first_span, name="first_span"),
    path("p/<slug:slug>/settings/keys", keys.keys, name="keys"),
    path("p/<slug:slug>/settings/keys/<slug:key_id>/revoke", keys.revoke, name="revoke_key"),
    path("p/<slug:slug>/settings/prices", prices.prices, name="prices"),
]
