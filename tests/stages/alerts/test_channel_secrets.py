"""Secrets of channels at rest: sealed, opened by old keys for a while, and never a riddle when no key fits."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection
from django.test import Client

from kit import alerting
from stanchion_server.alerts import channel_secrets, channel_services, outgoing
from stanchion_server.alerts.channel_services import Wanted
from stanchion_server.alerts.models import Channel, Notification
from stanchion_server.kernel import clock, sealing
from stanchion_server.kernel.errors import SenderError
from stanchion_server.routes import watch_delivery
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope, User

pytestmark = pytest.mark.django_db

URL = "https://hooks.slack.com/services/T0/B0/planted-canary-of-a-secret"
OLD, NEW = "o" * 50, "n" * 50
migration = importlib.import_module("stanchion_server.alerts.migrations.0004_seal_secrets")


@pytest.fixture
def project(settings: Any) -> Iterator[Project]:
    access.forget_everything()
    settings.SECRET_KEY = OLD
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    User.objects.filter(username="ada").update(email="ada@example.org")
    yield project
    access.forget_everything()


def made(project: Project, name: str = "on call", kind: str = "slack", **more: Any) -> Channel:
    values = {"url": URL, **({"secret": "whsec_" + "QUFB" * 8} if kind == "webhook" else {})}
    return channel_services.create(project, Wanted(name, kind, values, **more), "ada").channel


def message(channel: Channel) -> Notification:
    incident = alerting.incident(alerting.rule(channel.project))
    return Notification.objects.create(
        project=channel.project, incident=incident, channel=channel, seq=1, kind="trigger", body=alerting.facts(),
        next_attempt_at=clock.now(), created_at=clock.now(),
    )  # fmt: skip


def person() -> Client:
    client = Client()
    client.force_login(User.objects.get(username="ada"))
    return client


def columns() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(alerts_channel.*)::text FROM alerts_channel")
        return " ".join(row[0] for row in cursor.fetchall())


def test_no_column_holds_a_secret_and_sending_reads_it(project: Project) -> None:
    channel = made(project)
    assert "planted-canary" not in columns() and "hooks.slack.com" not in columns()
    message(channel)
    claimed = outgoing.claim(clock.now())
    assert claimed is not None and claimed.secrets == {"url": URL}


def test_a_fallback_key_reads_and_an_hour_later_the_new_one_does_alone(project: Project, settings: Any) -> None:
    channel = made(project, kind="webhook")
    held = channel_secrets.required(channel)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    assert channel_secrets.required(channel) == held
    watch_delivery.expire_deliveries()
    settings.SECRET_KEY_FALLBACKS = []
    channel.refresh_from_db()
    assert channel_secrets.required(channel) == held and channel.broken_at is None


def test_what_the_newest_key_sealed_is_left_as_it_is(project: Project) -> None:
    before = made(project).secrets
    watch_delivery.expire_deliveries()
    assert Channel.objects.get().secrets == before


def test_another_key_breaks_the_channel_and_its_message_goes_the_other_way(project: Project, settings: Any) -> None:
    fallback = channel_services.create(project, Wanted("mail", "email", {"to": "on-call@example.org"}), "ada").channel
    row = message(made(project, fallback=fallback.pk))
    settings.SECRET_KEY = NEW
    claimed = outgoing.claim(clock.now())
    row.refresh_from_db()
    assert row.state == "failed" and "cannot be read" in row.channel.broken_reason
    assert claimed is not None and claimed.kind == "email", "the copy for the fallback channel"


def test_another_key_is_noticed_before_an_incident_and_owners_hear_of_it_once(
    project: Project, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    made(project)
    settings.SECRET_KEY = NEW
    for _hour in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            watch_delivery.expire_deliveries()
    assert [(one.to, "cannot be read" in one.body) for one in mail.outbox] == [(["ada@example.org"], True)]


@pytest.mark.slow
def test_pages_and_api_say_so_and_entering_them_again_repairs_it(project: Project, settings: Any) -> None:
    channel, key = made(project), tenants.create_key(project, "k", (Scope.ADMIN,))
    page, api = f"/p/shop/alerts/channels/{channel.pk}", f"/api/v1/channels/{channel.pk}"
    headers: dict[str, Any] = {"headers": {"authorization": f"Bearer {key}"}}
    settings.SECRET_KEY = NEW
    assert "cannot be read" in person().get("/p/shop/alerts/channels").content.decode()
    assert "cannot be read, enter it again" in person().get(page).content.decode()
    assert Client().get(api, **headers).json()["secrets"] == {"url": "cannot be read, enter it again"}
    for what in ("test", "enable"):
        assert Client().post(f"{api}/{what}", **headers).json()["error"]["code"] == "secrets_unreadable"
        assert person().post(f"{page}/{what}").status_code == 409
    assert person().post(page, {"name": "on call", "url": ""}).status_code == 400, "an empty field cannot stay"
    assert Client().patch(api, {"name": "renamed"}, "application/json", **headers).status_code == 200
    settings.SECRET_KEY = OLD
    assert channel_secrets.required(Channel.objects.get()) == {"url": URL}, "renaming did not touch what is sealed"
    settings.SECRET_KEY = NEW
    watch_delivery.expire_deliveries()
    assert person().post(page, {"name": "on call", "url": URL + "-2"}).status_code == 302
    repaired = Channel.objects.get()
    assert channel_secrets.required(repaired) == {"url": URL + "-2"} and repaired.broken_at is None
    assert Client().post(f"{api}/test", **headers).status_code == 201


def test_a_signing_secret_is_not_turned_while_the_others_cannot_be_read(project: Project, settings: Any) -> None:
    channel = made(project, kind="webhook")
    settings.SECRET_KEY = NEW
    with pytest.raises(SenderError, match="Enter them again"):
        channel_services.rotate_secret(project.pk, channel.pk, "ada")
    settings.SECRET_KEY = OLD
    assert set(channel_secrets.required(Channel.objects.get())) == {"url", "secret"}


def test_a_webhook_is_repaired_only_with_the_signing_secret_too(project: Project, settings: Any) -> None:
    channel = made(project, kind="webhook")
    secret = channel_secrets.required(channel)["secret"]
    settings.SECRET_KEY = NEW
    watch_delivery.expire_deliveries()
    with pytest.raises(SenderError, match="signing secret cannot be read"):
        channel_services.change(project.pk, channel.pk, {"values": {"url": URL, "secret": ""}}, "ada")
    assert Channel.objects.get().broken_at is not None
    channel_services.change(project.pk, channel.pk, {"values": {"url": URL, "secret": secret}}, "ada")
    assert Channel.objects.get().broken_at is None
    assert channel_services.rotate_secret(project.pk, channel.pk, "ada").shown_once not in ("", secret)


@pytest.mark.parametrize("damaged", ["", "gAAAA", "gAAAAA" + "x" * 100, "\u00e9", "[]"])
def test_damaged_ones_count_as_unreadable(project: Project, damaged: str) -> None:
    channel = made(project)
    for held in ({"sealed": damaged}, {"sealed": None}, {"url": "in the clear"}):
        channel.secrets = held
        assert channel_secrets.opened(channel) is None


def test_the_migration_seals_what_lay_open_and_back_again(project: Project, settings: Any) -> None:
    channel, plain = made(project), {"url": URL, "previous_until": "2026-01-01T00:00:00+00:00"}
    Channel.objects.filter(pk=channel.pk).update(secrets=plain)
    mailer = channel_services.create(project, Wanted("mail", "email", {"to": "a@example.org"}), "ada").channel
    for _again in range(2):
        migration.seal(apps, None)
    channel.refresh_from_db()
    assert "planted-canary" not in json.dumps(channel.secrets) and channel_secrets.required(channel) == plain
    settings.SECRET_KEY = NEW
    migration.unseal(apps, None)
    assert channel_secrets.opened(Channel.objects.get(pk=channel.pk)) is None, "what no key reads stays as it is"
    settings.SECRET_KEY = OLD
    migration.unseal(apps, None)
    assert Channel.objects.get(pk=channel.pk).secrets == plain
    mailer.refresh_from_db()
    assert mailer.secrets == {}


def test_the_same_values_are_sealed_differently_each_time(project: Project) -> None:
    assert sealing.seal({"url": URL}) != sealing.seal({"url": URL})
    assert sealing.unseal(sealing.seal({"url": "é\u202e{}"})) == {"url": "é\u202e{}"}
