# ruff: noqa: E501, SIM905 - a pattern broken over lines is harder to check
"""Links that carry data away, run code, or lead elsewhere than they say."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from stanchion_guard.confusables import script_letters
from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.scanning import Bytes, bytes_of, pattern
from stanchion_guard.views import Reading

MOST_LINKS = 1_000
MOST_FIELDS = 200
"""Fields of one link's query that are read; a link with more carries something beyond doubt."""
_ANY = pattern(
    r"(?i)\]\s?\(|\]:\s|\]\s?\[|://|//[a-z0-9]|<(?:a|img|iframe|script|form|link|object|embed)\s|"
    r"(?:javascript|vbscript|data|file)\s*:|www\."
)
_MARKDOWN = pattern(r"(!?)\[([^\[\]]{0,200})\]\s?\(\s*<?([^\s<>]+?)>?(?:\s+[\"'(][^\n]*?[\"')])?\s*\)")
_REFERENCE = pattern(r"(?m)^\s{0,3}\[[^\[\]\n]{1,200}\]:\s*<?([^\s<>]+)>?")
_END_OF_LINK = pattern(r"(\)?)\]\s?\(\s*<?([^\s<>]+?)>?(?:\s+[\"'(][^\n]*?[\"')])?\s*\)")
"""What of a link stands for itself: its text is longer than a stream's window looks back, or has brackets in it. Judged
as an image, unless an image is its text (group 1)."""
_TAG = pattern(
    r"(?i)<(a|img|iframe|script|form|link|object|embed|source|video|audio)\s[^<>]*?"
    r"(?:href|src|srcset|action|data)\s*=\s*(?:\"([^\"<>]+)\"|'([^'<>]+)'|([^\s\"'<>]+))"
)
_BARE = pattern(r"(?i)\b(?:https?|ftp|wss?)://[^\s<>\"'`|\\^{}\[\]]+")
_SCHEME = pattern(r"(?i)^[\s\x00-\x20]*(javascript|vbscript|data|file)\s*:")
_PLACEHOLDER = pattern(
    r"(?i)[{\[<%](?:\s|%20)*\$?[a-z_ -]{0,20}(?:data|secret|history|conversation|summary|password|token|prompt|email|user|input|key|context|message|content|base64|encoded)[a-z_ -]{0,20}[}\]>%]"
)  # fmt: skip
_HOST_IN_TEXT = pattern(r"(?i)^(?:https?://)?(?:www\.)?((?:[a-z0-9-]+\.)+[a-z]{2,24})(?:[/:?#]|$)")
_IMAGE_SETTINGS = frozenset(
    "w h width height size s q quality fit crop format fm auto dpr v ver version raw cache ts t".split()
)
_TELLING = frozenset(
    "data d q query payload msg message text content info secret key token leak exfil c p body prompt history".split()
)
_SEARCHING = frozenset("q query c p".split())
"""Those of them that sources cited under a text have: searches, pages and categories."""
_LONG_VALUE, _LONG_SEGMENT, _RANDOM_BITS = 24, 40, 4.0


@dataclass(frozen=True, slots=True)
class _Link:
    target: str
    text: str
    image: bool
    start: int
    end: int
    defined: bool = False
    """It is the definition of a reference."""


class Links:
    """Judges every Markdown link and image, HTML element and bare address.

    The definition of a reference (`[1]: https://...`) is judged as an image wherever it stands: whether one is shown by
    it is told elsewhere in the text, which a stream has released already or does not know yet. Only short searches
    (`?q=word`) are let off there, which cited sources have.
    """

    name: ClassVar[str] = "links"
    version: ClassVar[str] = "2"
    tier: ClassVar[Tier] = "light"
    labels: ClassVar[tuple[str, ...]] = (
        "EXFILTRATION", "DANGEROUS_SCHEME", "DISGUISED_HOST", "MISLEADING_TEXT", "CREDENTIALS_IN_LINK", "NUMERIC_HOST",
        "DENIED_HOST", "UNLISTED_HOST",
    )  # fmt: skip
    threshold: ClassVar[float] = 0.5
    blind_to: ClassVar[str] = (
        "Where a link really leads: redirects, shorteners, and hosts that look harmless; short secrets in a plain path."
    )
    parameters: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "allow_hosts": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 10_000},
            "deny_hosts": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 10_000},
        },
    }

    def __init__(self, allow_hosts: Sequence[str] | None = None, deny_hosts: Sequence[str] = ()) -> None:
        """Hosts count with all their subdomains. With `allow_hosts`, any other host is a finding, and a listed one may
        carry what it likes."""
        self._allow = None if allow_hosts is None else frozenset(map(_host_name, allow_hosts))
        self._deny = frozenset(map(_host_name, deny_hosts))

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        data = bytes_of(reading)
        if not data.has(_ANY):
            return Detection(0.0)
        findings = []
        for link, _ in zip(_links(data), range(MOST_LINKS), strict=False):
            for label, score, reason in self._judge(link):
                findings.append(Finding(self.name, label, score, part, link.start, link.end, reason))
        return Detection(max((finding.score for finding in findings), default=0.0), tuple(findings))

    def _judge(self, link: _Link) -> Iterator[tuple[str, float, str]]:
        scheme = _SCHEME.search(unquote(link.target))
        if scheme is not None:
            yield from _judge_scheme(scheme.group(1).lower(), link)
            return
        host = host_of(link.target)
        if not host:
            return
        if _listed(host, self._deny):
            yield "DENIED_HOST", 1.0, "the host is on the list of denied ones"
        if self._allow is not None:
            if _listed(host, self._allow):
                return
            yield "UNLISTED_HOST", 0.9, "the host is not on the list of allowed ones"
        yield from _judge_host(host, link)
        score, reason = _carries(link)
        if score:
            yield "EXFILTRATION", score, reason


def _links(data: Bytes) -> Iterator[_Link]:
    seen: set[int] = set()
    for match in data.matches(_MARKDOWN):
        whole = data.hit(match)
        target = data.hit(match, 3)
        seen.add(target.start)
        yield _Link(target.text, data.hit(match, 2).text, bool(match.group(1)), whole.start, whole.end)
    for match in data.matches(_END_OF_LINK):
        whole, target = data.hit(match), data.hit(match, 2)
        if target.start not in seen:
            seen.add(target.start)
            yield _Link(target.text, "", not match.group(1), whole.start, whole.end)
    for match in data.matches(_REFERENCE):
        whole, target = data.hit(match), data.hit(match, 1)
        seen.add(target.start)
        yield _Link(target.text, "", True, whole.start, whole.end, defined=True)
    for match in data.matches(_TAG):
        group = next(number for number in (2, 3, 4) if match.start(number) >= 0)
        whole, target = data.hit(match), data.hit(match, group)
        seen.add(target.start)
        yield _Link(target.text, "", data.hit(match, 1).text.lower() != "a", whole.start, whole.end)
    for hit in data.hits(_BARE):
        if hit.start not in seen:
            yield _Link(hit.text.rstrip(".,;:!?)"), "", False, hit.start, hit.end)


def _judge_scheme(scheme: str, link: _Link) -> Iterator[tuple[str, float, str]]:
    if scheme == "data" and link.image and link.target.lower().startswith("data:image/"):
        if "svg" in link.target[:40].lower():
            yield "DANGEROUS_SCHEME", 0.6, "an image in the link itself that may hold script"
        return
    yield "DANGEROUS_SCHEME", 0.6 if scheme == "file" else 0.95, f"the scheme {scheme}:"


def host_of(target: str) -> str:
    """The host of an absolute or scheme-relative address in lower case, "" where there is none."""
    try:
        return (urlsplit(target.replace("\\", "/")).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _host_name(entry: str) -> str:
    name = entry.strip().lower().removeprefix("*.").removeprefix(".")
    return host_of(name if "://" in name else f"//{name}") or name


def _listed(host: str, hosts: frozenset[str]) -> bool:
    labels = host.split(".")
    return any(".".join(labels[at:]) in hosts for at in range(len(labels)))


def _judge_host(host: str, link: _Link) -> Iterator[tuple[str, float, str]]:
    if _disguised(host):
        yield "DISGUISED_HOST", 0.9, "letters of another alphabet that pass for Latin ones in the host"
    if _numeric(host):
        yield "NUMERIC_HOST", 0.55, "a public host given as a number"
    if "@" in link.target.split("?")[0].split("://", 1)[-1].split("/")[0]:
        yield "CREDENTIALS_IN_LINK", 0.7, "a name before the host, which hides where the link leads"
    said = _HOST_IN_TEXT.search(link.text.strip())
    if said is not None and not _same_site(said.group(1).lower(), host):
        yield "MISLEADING_TEXT", 0.85, "the text shows another host than the link has"


def _disguised(host: str) -> bool:
    table = script_letters()
    for label in host.split("."):
        name = _unpunycoded(label)
        foreign = [letter for letter in name if letter in table]
        latin = any("a" <= letter <= "z" for letter in name)
        others = any(letter > "\u036f" and letter.isalpha() and letter not in table for letter in name)
        if foreign and (latin or not others):
            return True
    return False


def _unpunycoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError):
        return label


def _numeric(host: str) -> bool:
    try:
        address = ipaddress.ip_address(
            int(host) if host.isdigit() else int(host, 16) if host.startswith("0x") else host
        )
    except ValueError:
        return False
    return not (address.is_private or address.is_loopback)


def _same_site(one: str, other: str) -> bool:
    one, other = one.removeprefix("www."), other.removeprefix("www.")
    return one == other or one.endswith("." + other) or other.endswith("." + one)


def _carries(link: _Link) -> tuple[float, str]:
    """How likely the address is a message to its host. An image is fetched without a click, so it weighs more."""
    parts = urlsplit(link.target.replace("\\", "/"))
    weight = 1.0 if link.image else 0.5
    if _PLACEHOLDER.search(unquote(parts.query + parts.path)):
        return 0.95 * max(weight, 0.6), "a place to be filled with what was said"
    if parts.query.count("&") >= MOST_FIELDS:
        return 0.9 * weight, "more fields in the query than are read"
    for name, value in parse_qsl(parts.query, keep_blank_values=True) if parts.query else ():
        if name.lower() in _IMAGE_SETTINGS and len(value) < _LONG_VALUE:
            continue
        if len(value) >= _LONG_VALUE and (_random(value) or " " in value or name.lower() in _TELLING):
            return 0.9 * weight, "a long value in the query"
        told = name.lower() in _TELLING and not (link.defined and name.lower() in _SEARCHING)
        if link.image and told and value:
            return 0.7, "an image whose query carries a telling name"
    inner = host_of(link.target).split(".")[:-2]
    if any(len(label) >= _LONG_SEGMENT for label in inner):
        return 0.8 * weight, "a long name before the host"
    if any(len(piece) >= _LONG_SEGMENT and _random(piece) for piece in parts.path.split("/")):
        return 0.6 * weight, "a long random piece in the path"
    return 0.0, ""


def _random(text: str) -> bool:
    counts = Counter(text[:200]).values()
    total = sum(counts)
    return -sum(count / total * math.log2(count / total) for count in counts) >= _RANDOM_BITS
