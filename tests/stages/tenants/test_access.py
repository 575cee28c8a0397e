from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.tenants import access, keys, services
from stanchion_server.tenants.models import ApiKey, Project, Scope

pytestmark = pytest.mark.django_db

ADDRESS = "192.0.2.1"


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    access.forget_everything()
    yield
    access.forget_everything()


@pytest.fixture
def project() -> Project:
    return services.create_project(services.create_organisation("Acme"), "Shop")


@pytest.fixture
def key(project: Project) -> str:
    return services.create_key(project, "app", [Scope.INGEST])


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def refusal(headers: dict[str, str], address: str = ADDRESS) -> SenderError:
    with pytest.raises(SenderError) as caught:
        access.authenticate(headers, address)
    return caught.value


def test_every_usual_way_of_sending_a_key_finds_its_project(project: Project, key: str) -> None:
    ways = [
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key}"},
        {"Authorization": f"Bearer%20{key}"},
        {"Authorization": key},
        {"x-api-key": key},
        basic("pk-lf-anything", key),
        basic(key, ""),
        {"Authorization": "Bearer of-somebody-else", "x-api-key": key},
    ]
    for headers in ways:
        principal = access.authenticate(headers, ADDRESS)
        assert principal.project_id == project.pk
        assert principal.scopes == {"ingest"}


def test_a_request_without_a_key_is_told_how_to_send_one() -> None:
    error = refusal({})
    assert (error.http_status, error.code) == (401, "missing_key")
    assert "x-api-key" in error.message


@pytest.mark.parametrize("text", ["Bearer hello", "Basic ???", "Basic aGVsbG8=", "Bearer ", "Bearer " + "x" * 10_000])
def test_something_that_is_no_key_is_a_401_without_a_query(text: str, django_assert_num_queries: object) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert refusal({"Authorization": text}).http_status == 401
    assert len(queries) == 0


def test_unknown_id_wrong_secret_revoked_and_expired_get_the_same_answer(project: Project, key: str) -> None:
    right = keys.parse(key)
    assert right is not None
    wrong_secret = str(keys.KeyText("live", right.key_id, keys.make_key().secret))
    expired = services.create_key(project, "old", ["ingest"], expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    revoked = services.create_key(project, "gone", ["ingest"])
    services.revoke_key(ApiKey.objects.get(name="gone"))
    errors = [refusal({"x-api-key": text}) for text in (str(keys.make_key()), wrong_secret, expired, revoked)]
    assert {(e.http_status, e.code, e.message) for e in errors} == {(401, "invalid_key", access.REFUSED)}


def test_a_known_key_costs_no_query_for_half_a_minute(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    access.authenticate({"x-api-key": key}, ADDRESS)
    with CaptureQueriesContext(connection) as queries:
        access.authenticate({"x-api-key": key}, ADDRESS)
    assert len(queries) == 0
    later = clock.monotonic_s() + access.CACHE_SECONDS + 1
    monkeypatch.setattr(clock, "monotonic_s", lambda: later)
    ApiKey.objects.update(revoked_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert refusal({"x-api-key": key}).code == "invalid_key"


def test_a_revoked_key_stops_at_once_in_the_process_that_revoked_it(key: str) -> None:
    access.authenticate({"x-api-key": key}, ADDRESS)
    services.revoke_key(ApiKey.objects.get())
    assert refusal({"x-api-key": key}).code == "invalid_key"


def test_last_use_is_written_at_most_once_a_minute(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    access.authenticate({"x-api-key": key}, ADDRESS)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    for seconds, is_new in ((40, False), (80, True)):
        moment = first + timedelta(seconds=seconds)
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        access.forget_everything()
        access.authenticate({"x-api-key": key}, ADDRESS)
        assert (ApiKey.objects.get().last_used_at == moment) is is_new


def test_a_wrong_secret_is_no_use_of_the_key(key: str) -> None:
    right = keys.parse(key)
    assert right is not None
    refusal({"x-api-key": str(keys.KeyText("live", right.key_id, keys.make_key().secret))})
    assert ApiKey.objects.get().last_used_at is None


def test_an_address_that_guesses_is_slowed_down_while_others_and_known_keys_pass(key: str) -> None:
    access.authenticate({"x-api-key": key}, ADDRESS)
    for _ in range(40):
        with pytest.raises((SenderError, Unavailable)):
            access.authenticate({"x-api-key": str(keys.make_key())}, ADDRESS)
    with pytest.raises(Unavailable), CaptureQueriesContext(connection) as queries:
        access.authenticate({"x-api-key": str(keys.make_key())}, ADDRESS)
    assert len(queries) == 0
    assert access.authenticate({"x-api-key": key}, ADDRESS)
    assert refusal({"x-api-key": str(keys.make_key())}, "192.0.2.2").http_status == 401


def test_wrong_keys_of_a_neighbour_do_not_keep_out_a_key_that_has_to_be_looked_up_again(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    access.authenticate({"x-api-key": key}, ADDRESS)
    later_s = clock.monotonic_s() + access.CACHE_SECONDS + 1
    monkeypatch.setattr(clock, "monotonic_s", lambda: later_s)
    for _ in range(40):
        with pytest.raises((SenderError, Unavailable)):
            access.authenticate({"x-api-key": str(keys.make_key())}, ADDRESS)
    assert access.authenticate({"x-api-key": key}, ADDRESS)


def test_a_key_without_the_scope_is_a_403_and_the_admin_scope_has_all(project: Project, key: str) -> None:
    with pytest.raises(SenderError) as caught:
        access.authenticate({"x-api-key": key}, ADDRESS).require(Scope.READ_CONTENT)
    assert caught.value.http_status == 403
    admin = services.create_key(project, "ops", [Scope.ADMIN])
    access.authenticate({"x-api-key": admin}, ADDRESS).require(Scope.READ_CONTENT)


def test_an_unknown_scope_cannot_be_given(project: Project) -> None:
    with pytest.raises(ValueError):
        services.create_key(project, "app", ["everything"])


def test_only_the_digest_of_a_secret_is_stored(key: str) -> None:
    right = keys.parse(key)
    assert right is not None
    for column in ApiKey.objects.values().get().values():
        assert right.secret not in str(column)


def test_people_reach_the_projects_of_their_own_organisation_only(project: Project) -> None:
    other = services.create_organisation("Other")
    stranger = services.create_owner(other, "eve", "pass-word-1234")
    owner = services.create_owner(project.organisation, "ada", "pass-word-1234")
    assert access.project_for(owner, project.slug) == project
    assert list(access.projects_for(stranger)) == []
    assert list(access.projects_for(AnonymousUser())) == []
    answers = set()
    for slug in (project.slug, "no-such-project"):
        with pytest.raises(SenderError) as caught:
            access.project_for(stranger, slug)
        answers.add((caught.value.http_status, caught.value.message.replace(slug, "…")))
    assert len(answers) == 1
    assert access.role_in(owner, project) == "owner"
    assert access.role_in(stranger, project) is None


def test_two_projects_of_one_name_get_different_slugs(project: Project) -> None:
    again = services.create_project(services.create_organisation("Acme"), "Shop")
    assert (project.slug, again.slug) == ("shop", "shop-2")
