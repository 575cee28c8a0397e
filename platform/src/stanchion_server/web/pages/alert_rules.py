"""One alert rule: its fields or its text, and what it would have done, before it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods

from stanchion_server.alerts import (
    channel_selectors,
    compiled,
    definitions,
    documents,
    fields,
    parsing_conditions,
    previewing,
    selectors,
    services,
)
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.measures import MINUTE, SOURCES
from stanchion_server.alerts.models import Change, Incident, Rule
from stanchion_server.alerts.previewing import DAYS, Preview
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import alert_charts, alert_history, rule_fields
from stanchion_server.web.pages.frame import Visit, project_page

DAYS_BACK = (1, 7, 14, 30)
AROUND = timedelta(hours=1)
"""At least so much of the time before and after an incident is drawn."""
LONGEST = timedelta(days=7)
SORTS = {
    "threshold": "a limit", "surge": "many times the usual", "absence": "nothing comes any more",
    "baseline": "unlike the same hour of earlier weeks", "release": "worse than the release before",
    "burn_rate": "burns an error budget too fast",
}  # fmt: skip
assert set(SORTS) == set(parsing_conditions.TYPES)


@dataclass(slots=True)
class Draft:
    """What was typed, in one of two ways, and what came of it: `problems` are fields (empty for none) and sentences."""

    is_text: bool
    values: Mapping[str, str] = field(default_factory=dict)
    channels: Sequence[str] = ()
    text: str = ""
    days: int = DAYS
    plain: Mapping[str, Any] | None = None
    definition: Definition | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)
    preview: Preview | None = None

    def error_of(self) -> dict[str, str]:
        """The first problem of each field."""
        return dict(reversed([(name, text) for name, text in self.problems if name]))


@require_http_methods(["GET", "POST"])
@project_page
def new_rule(visit: Visit) -> HttpResponse:
    visit.require_admin()
    return _edited(visit, None)


@require_http_methods(["GET", "POST"])
@project_page
def rule(visit: Visit, number: int) -> HttpResponse:
    found = rule_of(visit, number)
    if visit.request.method == "POST":
        visit.require_admin()
    return _edited(visit, found)


@require_GET
@project_page
def rule_preview(visit: Visit, number: int) -> HttpResponse:
    """The part of a rule's page that takes a moment: what the stored rule would have done."""
    definition = compiled.compiled(rule_of(visit, number)).definition
    found, refusal = (None, "The rule cannot be judged any more.") if definition is None else _preview(
        visit, definition, DAYS
    )  # fmt: skip
    return visit.render("pages/_rule_preview.html", "alert_rules", **_shown(definition, found, DAYS, refusal))


@require_GET
@project_page
def incident_chart(visit: Visit, number: int) -> HttpResponse:
    """The reading around an incident with its limit, and when it fired."""
    incident = selectors.incident(visit.project.pk, number)
    if incident is None:
        raise SenderError("not_found", "There is no such incident in this project.", 404)
    definition, drawn, refusal = compiled.compiled(incident.rule).definition, None, ""
    try:
        drawn = None if definition is None else _around(visit, incident, definition)
    except SenderError as error:
        refusal = error.message
    if definition is not None and not refusal:
        refusal = previewing.why_not(definition)
    return visit.render(
        "pages/_incident_chart.html", "alerts", drawn=drawn, refusal=refusal, incident=incident,
        is_changed=incident.rule.version != incident.rule_version,
    )  # fmt: skip


def _around(visit: Visit, incident: Incident, definition: Definition) -> Any:
    now = clock.now()
    end = incident.resolved_at or now
    margin = max(AROUND, (end - incident.started_at) / 2)
    last = min(now, end + margin)
    first = max(incident.started_at - margin, last - LONGEST)
    found = previewing.between(visit.project, previewing.by_the_minute(definition), first, last)
    only = {tuple((str(name), str(value)) for name, value in one.get("labels", [])) for one in incident.members}
    return alert_charts.chart(definition, found, "incident-reading", only, [(incident.started_at, end)])


def _edited(visit: Visit, stored: Rule | None) -> HttpResponse:
    deed = visit.request.POST.get("do", "") if visit.request.method == "POST" else ""
    draft = _typed(visit) if deed else _stored(stored)
    if deed == "yaml":
        text = documents.write_one(rule_fields.to_plain(draft.values, draft.channels))
        draft = Draft(True, text=text, days=draft.days)
    elif deed == "fields":
        draft = _as_fields(draft)
    elif deed:
        _read(draft)
    if deed == "preview" and draft.definition is not None:
        draft.preview, refusal = _preview(visit, draft.definition, draft.days)
        draft.problems += [("", refusal)] if refusal else []
    if deed == "save" and draft.plain is not None and (saved := _saved(visit, draft, stored)) is not None:
        return redirect("alert_rule", visit.project.slug, saved.pk)
    return _page(visit, stored, draft)


def _stored(stored: Rule | None) -> Draft:
    """The rule as it is, as fields where they can say all of it; else the beginning of a new one."""
    if stored is None:
        return Draft(False, values=rule_fields.DEFAULTS)
    plain = services.form_of(stored)
    if not rule_fields.fits(plain):
        return Draft(True, text=documents.write_one(plain))
    values, channels = rule_fields.from_plain(plain)
    return Draft(False, values=values, channels=channels)


def _typed(visit: Visit) -> Draft:
    post = visit.request.POST
    days = post.get("days", "")
    draft = Draft(
        is_text="yaml" in post, values={name: post.get(name, "").strip() for name in rule_fields.SINGLE},
        channels=post.getlist("channels")[:20], text=post.get("yaml", "").replace("\r\n", "\n"),
    )  # fmt: skip
    if days.isascii() and days.isdecimal() and int(days[:3]) in DAYS_BACK:
        draft.days = int(days[:3])
    return draft


def _read(draft: Draft) -> None:
    """What was typed as a rule, or what is wrong with it."""
    if draft.is_text:
        written, mistakes = documents.read_one(draft.text)
        draft.problems = [("yaml", f"Line {one.line}: {one.message}" if one.line else one.message) for one in mistakes]
        if written is not None:
            draft.plain, draft.definition = written.plain, written.definition
        return
    plain = rule_fields.to_plain(draft.values, draft.channels)
    draft.definition, problems = definitions.parse(plain)
    draft.problems = [(rule_fields.field_of(one, draft.values), one.message) for one in problems]
    draft.plain = plain if draft.definition else None


def _as_fields(draft: Draft) -> Draft:
    _read(draft)
    if draft.plain is None:
        return draft
    if not rule_fields.fits(draft.plain):
        draft.problems = [("yaml", "The fields cannot say all of this rule: it stays a text.")]
        return draft
    values, channels = rule_fields.from_plain(draft.plain)
    return Draft(False, values=values, channels=channels, days=draft.days)


def _preview(visit: Visit, definition: Definition, days: int) -> tuple[Preview | None, str]:
    try:
        return previewing.preview(visit.project, definition, days, clock.now()), ""
    except SenderError as error:
        return None, error.message


def _saved(visit: Visit, draft: Draft, stored: Rule | None) -> Rule | None:
    try:
        saved = services.save(visit.project, draft.plain, visit.who, stored.pk if stored else None)
    except SenderError as error:
        draft.problems = [("yaml" if draft.is_text else _FIELDS.get(error.code, ""), error.message)]
        return None
    messages.success(visit.request, f"The rule “{saved.name}” is saved; it is judged from now on.")
    return saved


_FIELDS = {"name_taken": "name", "unknown_channel": "channels"}


def _page(visit: Visit, stored: Rule | None, draft: Draft) -> HttpResponse:
    # HTMX leaves the page as it is when the status is not 2xx.
    status = 400 if draft.problems and not visit.request.headers.get("HX-Request") else 200
    chosen = {name: draft.values.get(name, "") for name in rule_fields.SINGLE}
    return visit.render(
        "pages/alert_rule.html", "alert_rules", status, rule=stored, draft=draft, values=chosen,
        errors=draft.error_of(), sources=_sources(), dimensions=_dimensions(), sorts=SORTS.items(),
        window_hint=_window_hint(),
        severities=definitions.SEVERITIES, no_data=definitions.NO_DATA, days_back=DAYS_BACK,
        channels=[row.name for row in channel_selectors.channels(visit.project.pk)],
        beside=rule_fields.beside(chosen["rest"]),
        written=documents.write_one(services.form_of(stored)) if stored else "",
        is_asked=visit.request.method == "POST",
        lines=alert_history.of(visit, Change.Kind.RULE, stored.pk) if stored else (),
        **_shown(draft.definition, draft.preview, draft.days),
    )  # fmt: skip


def _shown(definition: Definition | None, found: Preview | None, days: int, refusal: str = "") -> dict[str, Any]:
    if definition is None or found is None:
        return {"found": None, "preview_refusal": refusal}
    rows, more = alert_charts.rows(definition, found)
    return {
        "found": found, "says": alert_charts.headline(found, days), "rows": rows, "more": more,
        "drawn": alert_charts.chart(definition, found, "rule-reading"),
    }  # fmt: skip


def _sources() -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (kind.label, [(f"{source} {name}", measure.label) for name, measure in kind.measures.items()])
        for source, kind in SOURCES.items()
    ]


def _window_hint() -> str:
    longer = [kind for kind in SOURCES.values() if kind.least_window > MINUTE]
    least = ", ".join(f"{kind.label} at least {fields.written(kind.least_window)}" for kind in longer)
    return f"whole minutes, such as 15m or 1h; {least}"


def _dimensions() -> list[str]:
    return list(dict.fromkeys(name for kind in SOURCES.values() for name in kind.dimensions))


def rule_of(visit: Visit, number: int) -> Rule:
    found = selectors.rule(visit.project.pk, number)
    if found is None:
        raise SenderError("not_found", "There is no such rule in this project.", 404)
    return found
