# ruff: noqa: E501, SIM905 - a pattern or a table broken over lines is harder to check
"""Names of persons where the text itself gives evidence: a title, an introduction, a greeting, a known given name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from stanchion_guard.identifiers.rules import Span
from stanchion_guard.scanning import Bytes, pattern

_WORD = r"\p{Lu}[\p{Ll}\p{Lu}'’-]*[\p{Ll}\p{Lu}]"
_INITIAL = r"\p{Lu}\.?"
_PARTICLE = r"(?:van|von|de|der|den|del|della|di|da|dos|la|le|bin|ibn|al|el|ter|ten|zu)"
_SURNAME = rf"(?: {_PARTICLE}){{0,2}} {_WORD}"
_NAME = rf"{_WORD}(?:(?: {_INITIAL})?{_SURNAME}){{0,2}}"
_FULL = rf"{_WORD}(?:(?: {_INITIAL})?{_SURNAME}){{1,2}}"
_EVIDENCE = (
    (
        0.85,
        "a title",
        rf"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam|Dame|Herr|Frau|Hr|Fr|Señor|Señora|Sra?|Monsieur|Madame|Mme|Mlle|Sig|Signora?|Dott|Ing|Pan|Pani)\.? ({_NAME})",
    ),
    (
        0.9,
        "an introduction",
        rf"(?i:\bmy name(?: is|'s)|\bname'?s|\bI am called|\bich heiße|\bmein name ist|\bje m'appelle|\bme llamo|\bmi nombre es|\bmi chiamo|\bmeu nome é|\bcalled) ({_NAME})",
    ),
    (
        0.8,
        "a field of a form",
        rf"(?i:(?:^|\n|[,;|\t])\s{{0,3}}(?:(?:full|first|last|given|family|customer|patient|employee|contact|client|cardholder|account)[ _])?(?:name|surname|holder|nombre|nom|cognome))\s{{0,2}}[:=]\s{{0,3}}\"?({_NAME})",
    ),
    (
        0.75,
        "a greeting",
        rf"(?:^|\n)(?:Dear|Hi|Hello|Hey|Liebe|Lieber|Cher|Chère|Estimado|Estimada|Caro|Cara|Gentile|Beste) ({_NAME})[,!:]",
    ),
    (
        0.8,
        "a signature",
        rf"(?i:regards|sincerely|cheers|best wishes|yours truly|thanks|grüße|cordialement|saludos|saluti),?[ \t]*\n{{1,2}}({_NAME})[ \t]*(?:\n|$)",
    ),
    (0.7, "a full name after I am", rf"\b(?:I am|I'm|This is|this is) ({_FULL})\b"),
)
_PAIR = pattern(rf"\b({_FULL})\b")
_NOT_NAMES = frozenset(
    "the a an all everyone everybody team sir madam customer support service friend friends there again world god jesus monday tuesday wednesday thursday friday "
    "saturday sunday january february march april may june july august september october november december english american british german french spanish "
    "italian who what when where why how please thank thanks hello dear yes no not and or but if i it he she they we you this that street st avenue road "
    "university company inc ltd hr manager committee president minister union bank".split()
)
_GIVEN = """
aaron abigail adam adrian ahmed aisha alan albert alejandro alex alexander alexandra alice alicia ali amanda amelia
amy ana anastasia andrea andreas andrew angela anita ann anna anne annette anthony antonio arthur ashley barbara
beatrice benjamin bernard beth betty bradley brandon brenda brian brittany bruce camille carl carla carlos carmen
carol caroline catherine charles charlotte cheryl chloe christian christina christine christopher claire clara claudia
craig cynthia daniel daniela david deborah denise dennis diana diane diego dmitri donald donna dorothy douglas dylan
edward eileen elena elisabeth elizabeth ella ellen emily emma eric erik erin ethan eugene eva evelyn fatima felix
fernando fiona florian frances francesca francesco francisco frank franz frederick gabriel gary george gerald gerard
giovanni giulia gloria grace graham gregory guillaume hannah hans harold harry heather heidi heinrich helen helena
henry hiroshi howard hugo ian ibrahim igor ines ingrid irene isabel isabella ivan jack jacob jacqueline jacques james
jamie jan jane janet janice jason javier jean jeffrey jennifer jeremy jerry jesse jessica joan joanna joao joe joel
johan johannes john jonathan jorge jose joseph joshua joyce juan judith judy julia julian julie jürgen justin karen
karin karl katarzyna katherine kathleen kathryn katja keith kelly kenneth kevin kimberly klaus krzysztof kumar kyle
lara larry lars laura lauren laurent lawrence lea leon leonardo linda lisa lorenzo louis louise luca lucas lucia lucy
luis lukas magdalena manuel marco margaret maria marie mario marion mark marko markus marta martha martin mary mathias
matteo matthew matthias maurice max maximilian megan mehmet melanie melissa michael michel michelle miguel mikhail
mohamed mohammed monica monika muhammad nancy natalia natalie nathan nicholas nicolas nicole nikolai nina noah nora
olga oliver olivia oscar otto pablo pamela paola patricia patrick paul paula paulo pavel pedro peter petra philip
philippe pierre piotr rachel rafael ralph raymond rebecca renate ricardo richard robert roberto roger roland ronald
rosa rosemary roy russell ruth ryan sabine samantha samuel sandra sara sarah scott sean sebastian sergei sergio sharon
shirley silvia simon simone sofia sophia sophie stefan stefanie stephanie stephen steven susan susanne svetlana sylvia
tamara tanya teresa theodore theresa thomas timothy tina tobias todd tom tomas tyler ursula valentina vanessa vera
veronica victor victoria vincent virginia vladimir walter wayne wendy werner wilhelm william wolfgang xavier yusuf
yvonne zoe
"""


@cache
def _given_names() -> frozenset[str]:
    return frozenset(_GIVEN.split())


@cache
def _evidence() -> tuple[tuple[float, str, Any], ...]:
    return tuple((score, reason, pattern(shape)) for score, reason, shape in _EVIDENCE)


def find_people(data: Bytes) -> Iterator[Span]:
    """Spans labelled PERSON, each with the evidence that made it one."""
    for score, reason, shape in _evidence():
        for hit in data.hits(shape, 1):
            end = _trimmed(hit.text) + hit.start
            if end > hit.start:
                yield Span("PERSON", hit.start, end, score, f"PERSON by {reason}")
    for hit in data.hits(_PAIR, 1):
        first = hit.text.split(" ", 1)[0].lower()
        if first in _given_names() and _trimmed(hit.text) == len(hit.text):
            yield Span("PERSON", hit.start, hit.end, 0.65, "PERSON by a given name and a surname")


def _trimmed(name: str) -> int:
    """How many characters of `name` are a name: it ends before a word that is no part of one."""
    length = 0
    for word in name.split(" "):
        if word.lower().rstrip(".") in _NOT_NAMES:
            break
        length += len(word) + bool(length)
    return length
