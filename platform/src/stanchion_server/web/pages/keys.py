"""API keys of a project: made here, shown once, revoked here."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from stanchion_server.tenants import services
from stanchion_server.tenants.models import ApiKey, Scope
from stanchion_server.web.pages.frame import Visit, project_page


class KeyForm(forms.Form):
    name = forms.CharField(max_length=120, strip=True)
    scopes = forms.MultipleChoiceField(choices=Scope.choices)


@require_http_methods(["GET", "POST"])
@project_page
def keys(visit: Visit) -> HttpResponse:
    """POST makes a key and shows its secret in the answer, once: it is stored nowhere in readable form."""
    form = KeyForm(visit.request.POST or None, initial={"scopes": [Scope.INGEST.value]})
    secret = ""
    if visit.request.method == "POST":
        visit.require_admin()
        if form.is_valid():
            secret = services.create_key(visit.project, form.cleaned_data["name"], form.cleaned_data["scopes"])
            form = KeyForm(initial={"scopes": [Scope.INGEST.value]})
    rows = ApiKey.objects.filter(project=visit.project).order_by("revoked_at", "-created_at")
    status = 400 if form.errors else 200
    chosen = visit.request.POST.getlist("scopes") if form.is_bound else form.initial["scopes"]
    return visit.render(
        "pages/keys.html", "keys", status, rows=rows, form=form, secret=secret, scopes=Scope.choices, chosen=chosen
    )


@require_POST
@project_page
def revoke(visit: Visit, key_id: str) -> HttpResponse:
    visit.require_admin()
    key = ApiKey.objects.filter(project=visit.project, key_id=key_id).first()
    if key is None:
        raise Http404("No such key in this project.")
    services.revoke_key(key)
    messages.success(visit.request, f"The key “{key.name}” is revoked; servers forget it within 30 seconds.")
    return redirect("keys", visit.project.slug)
