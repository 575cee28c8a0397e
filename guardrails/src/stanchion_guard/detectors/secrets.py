# ruff: noqa: E501 - a pattern broken over lines is harder to check
"""Keys, tokens and passwords that give access: by the formats their issuers state, and by entropy beside a telling name."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import re2

from stanchion_guard.detectors import Tier
from stanchion_guard.known import fresh
from stanchion_guard.reading import also, plain, plain_bytes
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.scanning import Bytes, Hit, matcher, pattern
from stanchion_guard.views import Reading, View


@dataclass(frozen=True, slots=True)
class _Format:
    """One issuer's format; group 1 is the secret where there is one. `check` refuses look-alikes."""

    label: str
    shape: str
    score: float = 0.95
    check: Callable[[str], bool] | None = None


def _jwt(token: str) -> bool:
    header = token.split(".")[0]
    try:
        return "alg" in json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, TypeError, binascii.Error):
        return False


def _chosen(text: str) -> bool:
    """Not a stand-in such as `****`, `<password>`, `${DB_PASS}` or `changeme`."""
    bare = text.strip("\"'`,;")
    lower = bare.lower()
    if len(set(bare)) < 4 or bare[0] in "<{[$%" or bare[-1] in ">}])" or "(" in bare:
        return False
    return not any(
        word in lower
        for word in (
            "example",
            "placeholder",
            "changeme",
            "your_",
            "your-",
            "yourpass",
            "xxxx",
            "****",
            "redacted",
            "dummy",
            "process.env",
            "os.environ",
            "getenv",
        )
    )


def entropy_bits(text: str) -> float:
    """Shannon entropy of the characters, in bits a character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _random(text: str) -> bool:
    """Letters and digits mixed with nothing of a word, a path or an identifier about it."""
    bare = text.strip("\"'`,;.")
    if not 12 <= len(bare) <= 512 or not _chosen(bare):
        return False
    kinds = sum((any(map(str.isdigit, bare)), any(map(str.islower, bare)), any(map(str.isupper, bare))))
    return kinds >= 2 and any(map(str.isdigit, bare)) and entropy_bits(bare) >= min(3.6, 0.8 * math.log2(len(bare)))


def _password(text: str) -> bool:
    bare = text.strip("\"'`,;.")
    if len(bare) < 6 or not _chosen(bare):
        return False
    kinds = sum(any(map(test, bare)) for test in (str.isdigit, str.islower, str.isupper, _sign))
    return kinds >= 2 and (any(map(str.isdigit, bare)) or any(map(_sign, bare)))


def _sign(letter: str) -> bool:
    return letter in "!@#$%^&*+=?~"


_NAME = r"(?i:[a-z0-9_.-]*(?:api[_-]?key|apikey|secret[_-]?key|client[_-]?secret|access[_-]?key|auth[_-]?token|access[_-]?token|refresh[_-]?token|private[_-]?key|signing[_-]?key|encryption[_-]?key|secret|token|credential)s?)"
_PASS_NAME = r"(?i:[a-z0-9_.-]*(?:password|passwd|passphrase|pwd|db_pass|passwort|contraseña|mot de passe|senha))"  # noqa: S105 - a pattern, no password
_GIVES = r"[\"'`]?\s{0,4}(?:=>|:=|[:=]|\bis\b)\s{0,4}"

_FORMATS = (
    _Format("AWS_ACCESS_KEY", r"\b((?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z2-7]{16})\b"),
    _Format("AWS_SECRET_KEY", r"(?i:aws.{0,24}(?:secret|sk).{0,24}?)[\"'\s:=]([A-Za-z0-9/+=]{40})(?:$|[^A-Za-z0-9/+=])", 0.95, _random),
    _Format("GCP_API_KEY", r"\b(AIza[0-9A-Za-z_-]{35})(?:$|[^0-9A-Za-z_-])"),
    _Format("GCP_OAUTH_TOKEN", r"\b(ya29\.[0-9A-Za-z_-]{20,})"),
    _Format("GCP_OAUTH_SECRET", r"\b(GOCSPX-[0-9A-Za-z_-]{28})"),
    _Format("AZURE_STORAGE_KEY", r"AccountKey=([A-Za-z0-9+/]{86}==)", 1.0),
    _Format("AZURE_CLIENT_SECRET", r"(?:^|[^\w~.-])([a-zA-Z0-9_~.-]{3}[78]Q~[a-zA-Z0-9_~.-]{31,34})(?:$|[^\w~.-])"),
    _Format("AZURE_SAS", r"[?&]sig=([A-Za-z0-9%]{40,60}(?:%3D|=))", 0.9),
    _Format("GITHUB_TOKEN", r"\b(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b", 1.0),
    _Format("GITLAB_TOKEN", r"\b(gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-[A-Za-z0-9_-]{20,64})"),
    _Format("SLACK_TOKEN", r"\b(xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]+)"),
    _Format("SLACK_WEBHOOK", r"(https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/+_-]{30,})"),
    _Format("DISCORD_WEBHOOK", r"(https://(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_-]{60,})"),
    _Format("STRIPE_KEY", r"\b((?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,247}|whsec_[A-Za-z0-9]{24,})\b"),
    _Format("ANTHROPIC_KEY", r"\b(sk-ant-[A-Za-z0-9_-]{20,})", 1.0),
    _Format("OPENROUTER_KEY", r"\b(sk-or-v1-[a-f0-9]{64})\b", 1.0),
    _Format("OPENAI_KEY", r"\b(sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|sk-[A-Za-z0-9]{32,64})(?:$|[^A-Za-z0-9_-])", 0.95, _random),
    _Format("HUGGINGFACE_TOKEN", r"\b((?:hf|api_org)_[A-Za-z0-9]{30,40})\b"),
    _Format("GROQ_KEY", r"\b(gsk_[A-Za-z0-9]{40,60})\b"),
    _Format("XAI_KEY", r"\b(xai-[A-Za-z0-9]{60,100})\b"),
    _Format("PERPLEXITY_KEY", r"\b(pplx-[A-Za-z0-9]{40,60})\b"),
    _Format("REPLICATE_TOKEN", r"\b(r8_[A-Za-z0-9]{37})\b"),
    _Format("STANCHION_KEY", r"\b(stn_[A-Za-z0-9_-]{16,})"),
    _Format("LANGFUSE_KEY", r"\b((?:sk|pk)-lf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b"),
    _Format("NPM_TOKEN", r"\b(npm_[A-Za-z0-9]{36})\b", 1.0),
    _Format("PYPI_TOKEN", r"\b(pypi-AgE[A-Za-z0-9_-]{50,})", 1.0),
    _Format("DOCKER_TOKEN", r"\b(dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,})"),
    _Format("RUBYGEMS_KEY", r"\b(rubygems_[a-f0-9]{48})\b"),
    _Format("TWILIO_KEY", r"\b((?:SK|AC)[0-9a-f]{32})\b", 0.85),
    _Format("SENDGRID_KEY", r"\b(SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64})", 1.0),
    _Format("MAILGUN_KEY", r"\b(key-[0-9a-f]{32})\b", 0.9),
    _Format("MAILCHIMP_KEY", r"\b([0-9a-f]{32}-us\d{1,2})\b", 0.9),
    _Format("TELEGRAM_TOKEN", r"\b(\d{8,10}:AA[A-Za-z0-9_-]{33})(?:$|[^A-Za-z0-9_-])"),
    _Format("DISCORD_TOKEN", r"\b([MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})(?:$|[^A-Za-z0-9_-])", 0.9),
    _Format("SHOPIFY_TOKEN", r"\b(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})\b"),
    _Format("SQUARE_TOKEN", r"\b(sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{22,43}|EAAA[A-Za-z0-9_-]{60})"),
    _Format("DIGITALOCEAN_TOKEN", r"\b(do[opr]_v1_[a-f0-9]{64})\b"),
    _Format("DATABRICKS_TOKEN", r"\b(dapi[a-f0-9]{32}(?:-\d)?)\b"),
    _Format("GRAFANA_TOKEN", r"\b(gl(?:sa|c)_[A-Za-z0-9+/=_]{32,})"),
    _Format("NEWRELIC_KEY", r"\b(NRAK-[A-Z0-9]{27})\b"),
    _Format("SENTRY_TOKEN", r"\b(sntry[su]_[A-Za-z0-9+/=_]{40,})"),
    _Format("LINEAR_KEY", r"\b(lin_api_[A-Za-z0-9]{40})\b"),
    _Format("NOTION_KEY", r"\b(ntn_[A-Za-z0-9]{40,50}|secret_[A-Za-z0-9]{43})\b"),
    _Format("POSTMAN_KEY", r"\b(PMAK-[a-f0-9]{24}-[a-f0-9]{34})\b"),
    _Format("TERRAFORM_TOKEN", r"\b([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,70})"),
    _Format("VAULT_TOKEN", r"\b(hv[sbr]\.[A-Za-z0-9_-]{24,})"),
    _Format("AGE_SECRET_KEY", r"\b(AGE-SECRET-KEY-1[0-9A-Z]{58})\b", 1.0),
    _Format("JWT", r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})", 0.9, _jwt),
    _Format("PRIVATE_KEY", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?s:.{0,64}(?:[A-Za-z0-9+/=\s\\:,-]*-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)?)", 1.0),
    _Format("DATABASE_URL", r"\b(?i:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|oracle|clickhouse|snowflake|cockroachdb)(?:\+[a-z0-9]+)?://[^\s:/@\"'<>]*:([^\s@/\"'<>]{2,})@", 0.9, _chosen),
    _Format("URL_CREDENTIALS", r"\b(?:https?|ftps?|ssh|smtps?)://[^\s:/@\"'<>]+:([^\s@/\"'<>]{3,})@", 0.85, _chosen),
    _Format("AUTHORIZATION_HEADER", r"(?i:\bauthorization[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?:bearer|basic|token|apikey)\s{1,2})([A-Za-z0-9._~+/=-]{12,})", 0.9, _chosen),
    _Format("BEARER_TOKEN", r"(?i:\bbearer\s{1,2})([A-Za-z0-9._~+/=-]{20,})", 0.85, _random),
    _Format("GENERIC_SECRET", rf"{_NAME}{_GIVES}[\"'`]?([A-Za-z0-9_.~+/=!@#$%^&*-]{{12,}})", 0.75, _random),
    _Format("PASSWORD", rf"{_PASS_NAME}[\"'`]?\s{{0,4}}(?:=>|:=|[:=])\s{{0,4}}[\"'`]?([^\s\"'`<>]{{6,}})", 0.75, _password),
)  # fmt: skip
LABELS: tuple[str, ...] = tuple(dict.fromkeys(one.label for one in _FORMATS))
_HASH = pattern(r"^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$", case_sensitive=False)
_UUID = pattern(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", case_sensitive=False)
_MOST_MEMORY = 32 << 20


class Secrets:
    """Finds credentials in the plain view, and in what escapes and encoded runs stand for."""

    name: ClassVar[str] = "secrets"
    version: ClassVar[str] = "2"
    tier: ClassVar[Tier] = "light"
    labels: ClassVar[tuple[str, ...]] = LABELS
    threshold: ClassVar[float] = 0.5
    blind_to: ClassVar[str] = (
        "Keys of issuers without a stated format where no telling name stands beside them; pass phrases made of words; secrets cut in pieces, or with accents put on their letters; escapes in a third layer."
    )
    parameters: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"kinds": {"type": "array", "items": {"enum": list(LABELS)}, "minItems": 1, "uniqueItems": True}},
    }

    def __init__(self, kinds: Sequence[str] | None = None) -> None:
        """`kinds`: labels to look for, all where not stated."""
        wanted = frozenset(LABELS if kinds is None else kinds)
        if unknown := wanted - frozenset(LABELS):
            raise ValueError(f"secrets knows no kind {sorted(unknown)[0]!r}; it knows {', '.join(LABELS)}")
        self._formats, self._present = _compiled(wanted)

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        found = list(self._findings(plain(reading), plain_bytes(reading), part))
        for view in also(reading):
            found += fresh(view, self._findings(view, Bytes(view.text), part), found)
        return Detection(max((finding.score for finding in found), default=0.0), tuple(found))

    def _findings(self, view: View, data: Bytes, part: int) -> Iterable[Finding]:
        for form, hit in self._hits(data):
            start, end = view.original(hit.start, hit.end)
            yield Finding(self.name, form.label, form.score, part, start, end, f"the format of {form.label}", view.name)

    def _hits(self, data: Bytes) -> Iterator[tuple[_Format, Hit]]:
        """In the order of the formats: a stated format goes before a name and entropy, and no two overlap."""
        taken: set[int] = set()
        for number in sorted(self._present(data.data) or ()):
            form, shape = self._formats[number]
            for hit in data.hits(shape, 1 if shape.groups else 0):
                if hit.start not in taken and (form.check is None or form.check(hit.text)) and not _harmless(form, hit):
                    taken.update((hit.start, hit.end))
                    yield form, hit


def _harmless(form: _Format, hit: Hit) -> bool:
    """A digest or an identifier is nobody's key, unless its name says so."""
    if form.label not in ("GENERIC_SECRET", "BEARER_TOKEN", "PASSWORD"):
        return False
    return bool(_UUID.search(hit.text)) or (form.label != "GENERIC_SECRET" and bool(_HASH.search(hit.text)))


@cache
def _compiled(wanted: frozenset[str]) -> tuple[tuple[tuple[_Format, Any], ...], Any]:
    forms = [form for form in _FORMATS if form.label in wanted]
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    present = re2.Set.SearchSet(options)
    for form in forms:
        present.Add(form.shape)
    present.Compile()
    return tuple((form, pattern(form.shape)) for form in forms), matcher(present)
