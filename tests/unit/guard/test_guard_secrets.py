from __future__ import annotations

import base64
import json

import pytest

from stanchion_guard.detectors.secrets import Secrets
from stanchion_guard.reading import read
from stanchion_guard.records import Part, Subject

MIXED = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4"


def _unsigned(claims: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


JWT = f"{_unsigned({'alg': 'HS256', 'typ': 'JWT'})}.{_unsigned({'sub': '1234567890'})}.{MIXED}"


def found(text: str, detector: Secrets | None = None) -> list[tuple[str, str]]:
    detection = (detector or Secrets()).detect(read(text), 0, Subject((Part("input", text),)))
    return [(one.label, text[one.start : one.end]) for one in detection.findings if one.score >= Secrets.threshold]


@pytest.mark.parametrize(
    ("label", "secret", "around"),
    [
        ("AWS_ACCESS_KEY", "AKIA" + "Q7B2" * 4, "{}"),
        ("AWS_SECRET_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzAB12CD34", "aws_secret_access_key = {}"),
        ("GCP_API_KEY", "AIza" + MIXED[:35], "key={}"),
        ("GITHUB_TOKEN", "ghp_" + MIXED[:36], "use {} to clone"),
        ("GITLAB_TOKEN", "glpat-" + MIXED[:20], "{}"),
        ("SLACK_TOKEN", "xoxb-" + "123456789012-" + MIXED[:24], "{}"),
        ("STRIPE_KEY", "sk_live_" + MIXED[:24], "{}"),
        ("ANTHROPIC_KEY", "sk-ant-api03-" + MIXED, "{}"),
        ("OPENAI_KEY", "sk-proj-" + MIXED, "{}"),
        ("HUGGINGFACE_TOKEN", "hf_" + MIXED[:34], "{}"),
        ("STANCHION_KEY", "stn_" + MIXED[:32], "{}"),
        ("NPM_TOKEN", "npm_" + MIXED[:36], "{}"),
        ("PYPI_TOKEN", "pypi-AgE" + MIXED + MIXED, "{}"),
        ("SENDGRID_KEY", f"SG.{MIXED[:22]}.{MIXED[:43]}", "{}"),
        ("TWILIO_KEY", "SK" + "0a1b2c3d" * 4, "{}"),
        ("AZURE_STORAGE_KEY", (MIXED + MIXED)[:86] + "==", "AccountName=x;AccountKey={};"),
        ("JWT", JWT, "token {}"),
        ("DATABASE_URL", "s3cr3t-pw", "postgres://user:{}@db.internal/app"),
        ("URL_CREDENTIALS", "s3cr3tpw", "https://user:{}@git.internal/x.git"),
        ("AUTHORIZATION_HEADER", MIXED[:24], "Authorization: Bearer {}"),
        ("GENERIC_SECRET", "9f8Gh2Kq81LmPz0Xy", "api_key: {}"),
        ("GENERIC_SECRET", "9f8Gh2Kq81LmPz0Xy", '"client_secret": "{}"'),
        ("GENERIC_SECRET", "9f8Gh2Kq81LmPz0Xy", "export MY_TOKEN='{}'"),
        ("PASSWORD", "hunter2!", "password = '{}'"),
    ],
)
def test_it_finds_credentials_where_they_stand(label: str, secret: str, around: str) -> None:
    assert (label, secret) in found(around.format(secret))


def test_a_private_key_is_one_finding_from_begin_to_end() -> None:
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{MIXED}\n{MIXED}\n-----END RSA PRIVATE KEY-----"
    assert found(f"here:\n{key}\nbye") == [("PRIVATE_KEY", key)]


@pytest.mark.parametrize(
    "harmless",
    [
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "request 3f2504e0-4f89-11d3-9a0c-0305e82c3301 failed",
        "token: 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "password: required",
        "password = os.environ['DB_PASSWORD']",
        "api_key = ${API_KEY}",
        "api_key: <your-api-key-goes-here1>",
        "secret_key = load_secret_key()",
        "postgres://user:<password>@db/app",
        "-----BEGIN PUBLIC KEY-----",
        "the secret of a good sauce is butter",
        "data:image/png;base64," + base64.b64encode(bytes(range(256))).decode(),
        "sk-learn and sk-bank are words",
        "max_tokens: 4096, token_count = 1234567890123",
        "eyJhbm90aGVyIjoxfQ.eyJhbm90aGVyIjoxfQ.signature_of_nothing",
    ],
)
def test_digests_identifiers_and_stand_ins_are_no_secrets(harmless: str) -> None:
    assert found(harmless) == []


def test_an_encoded_secret_marks_its_encoded_run() -> None:
    run = base64.b64encode(b"use ghp_" + MIXED[:36].encode() + b" to clone").decode()
    assert [label for label, _ in found(f"do {run}")] == ["GITHUB_TOKEN"]


def test_only_the_kinds_asked_for_are_found() -> None:
    text = f"ghp_{MIXED[:36]} and password = 'hunter2!'"
    assert found(text, Secrets(kinds=["PASSWORD"])) == [("PASSWORD", "hunter2!")]
    with pytest.raises(ValueError, match="COFFEE"):
        Secrets(kinds=["COFFEE"])


@pytest.mark.parametrize("unit", ["password=", "eyJ.", "-----BEGIN PRIVATE KEY-----", "AKIA", "token: a1", "://a:"])
def test_hostile_texts_of_secrets_are_read_in_one_go(unit: str) -> None:
    found(unit * (60_000 // len(unit)))
