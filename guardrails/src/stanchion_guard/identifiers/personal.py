# ruff: noqa: E501 - a pattern or a table broken over lines is harder to check
"""What people write about themselves: addresses in networks, birthdays, ages, credentials, homes."""

from __future__ import annotations

from dataclasses import replace

from stanchion_guard.identifiers.dates import no_date
from stanchion_guard.identifiers.rules import Rule

_TOP = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|app|dev|co|me|tv|xyz|online|site|shop|cloud|tech|eu|uk|de|fr|es|it|nl|be|at|ch|pl|pt|"
    "se|no|dk|fi|ie|cz|sk|hu|ro|bg|gr|hr|si|rs|ua|ru|by|lt|lv|ee|us|ca|mx|br|ar|cl|pe|uy|ve|au|nz|jp|kr|cn|hk|tw|sg|my|th|vn|"
    "id|ph|in|pk|bd|lk|ir|il|ae|sa|qa|eg|za|ng|ke|gh|ma|tn|is|lu|mt|cy|li|tr|su|cat|museum|name|pro|mobi|travel|news|blog"
)
_MONTH = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|janv|févr|avr|juin|juil|août|ene|abr|ago|dic|gen|mag|giu|"
    r"lug|set|ott|fev|out)\pL*\.?"
)
_DATE = (
    r"(\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./-]\d{1,2}[./-]\d{1,2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.|er)?(?: of| de)? {_MONTH}(?: de)?,? \d{{4}}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_BORN = (
    r"(?:was|am|were|is) born(?: on)?|date of birth|birth ?da(?:te|y)|d\.?o\.?b\.?|geboren(?: am)?|geburtsdatum|geb\.|née? le|date de naissance|"
    r"nacid[oa] el|nac[ií](?:ó)?(?: el)?|fecha de nacimiento|nat[oa] il|data di nascita|data de nascimento|nascid[oa] em|"
    r"geboortedatum|geboren op|fødselsdato|födelsedatum|data urodzenia|urodzon[ya]|doğum tarihi|дата рождения|родил(?:ся|ась)"
)
_SURE = r"\s{0,3}(?::|=|->)\s{0,3}[\"']?|[\"']?\s{0,3}(?:is|ist|est|es|è|é|lautet)\s{1,3}[\"']?"
_PIN_CODE = r"(?:pin(?: ?code| number)|geheimzahl)"
_PIN = r"(?:pin(?: ?code| number)?|geheimzahl)"
_OWN = r"(?:my|your|his|her|their|our|card|atm|bank|debit|sim)"
_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Square|Sq|Terrace|Way|Parkway|Pkwy|Circle|Cir|"
    "Highway|Hwy|Close|Crescent|Gardens|Grove|Hill|Mews|Row|Trail|Alley|Plaza|Streets"
)
_CAP = r"\p{Lu}[\pL'’.-]+"


def _secretive(text: str) -> bool:
    """A value somebody chose, not a word of a sentence and not a stand-in."""
    bare = text.strip("\"'.,;:!?()")
    if len(bare) < 4 or set(bare) <= set("*x.•-_X#") or bare[0] in "<{[$%":
        return False
    return any(letter.isdigit() or letter in "@#$%^&*!+=_" for letter in bare)


def _human_age(text: str) -> bool:
    return 0 < int(text) <= 120


CONTACT = (
    Rule("EMAIL", r"[\pL\pN][\pL\pN._%+'-]*@(?:[\pL\pN][\pL\pN-]*\.)+\pL{2,}", 0.98, 1.0, bare=False, sign=b"@"),
    Rule("EMAIL", r"\b[A-Za-z0-9._%+-]+@\[\d{1,3}(?:\.\d{1,3}){3}\]", 0.9, 0.9, bare=False),
    Rule(
        "EMAIL",
        r"(?i)\b[a-z0-9][a-z0-9._%+-]* ?[\[({<] ?(?:at|@) ?[\])}>] ?[a-z0-9-]+(?: ?[\[({<]? ?(?:dot|\.) ?[\])}>]? ?[a-z0-9-]+){1,3}",
        0.9,
        0.95,
        bare=False,
    ),
    Rule(
        "EMAIL",
        rf"(?i)\b[a-z0-9][a-z0-9._%+-]*(?: dot [a-z0-9]+)? at [a-z0-9-]+(?: dot [a-z0-9-]+){{0,2}} dot (?:{_TOP})\b",
        0.85,
        0.95,
        bare=False,
    ),
)
WEB = (
    Rule("URL", r"(?i)\b(?:https?|ftp)://[^\s<>\"'`|\\^{}]{3,}", 0.95, 0.95, bare=False),
    Rule("URL", r"(?i)\bwww\.[a-z0-9-]+\.[a-z0-9.-]+(?:/[^\s<>\"']*)?", 0.9, 0.9, bare=False),
    Rule("DOMAIN", rf"(?i)\b(?:[a-z0-9][a-z0-9-]*\.)+(?:{_TOP})\b", 0.6, 0.6, bare=False),
)
BIRTH_AND_AGE = (
    Rule(
        "DATE_OF_BIRTH",
        rf"(?i)(?:^|[^\pL])(?:{_BORN})[^\pL\pN]{{0,6}}(?:(?:is|was|on|the|ist|est|es)[^\pL\pN]{{1,3}}){{0,2}}{_DATE}",
        0.9,
        0.9,
        bare=False,
    ),
    Rule(
        "AGE",
        r"(?i)\b(\d{1,3})[ -]?(?:years?[ -]olds?|yrs?[ -]?old|year-old|y/?o|jahre alt|años(?: de edad)?|anni|ans|anos de idade|jaar oud|lat)\b",
        0.8,
        0.9,
        "",
        _human_age,
    ),
    Rule(
        "AGE",
        r"(?i)\b(?:aged?|turn(?:ed|ing|s)?|age(?: is)?:?|alter:?|âge:?|edad:?) (\d{1,3})\b",
        0.7,
        0.8,
        "",
        _human_age,
    ),
)
CREDENTIALS = (
    Rule(
        "PASSWORD",
        rf"(?i)(?:^|[^\pL])(?:password|passwd|pwd|pass ?phrase|passcode|passwort|kennwort|mot de passe|contraseña|senha|wachtwoord|пароль)(?:{_SURE})([^\s\"'<>]+)",
        0.85,
        0.85,
        "",
        _secretive,
        bare=False,
    ),
    Rule("PIN", rf"(?i)\b{_PIN}\b(?:{_SURE})(\d{{4,8}})\b", 0.85, 0.85),
    Rule("PIN", rf"(?i)\b(?:{_OWN} pin|{_PIN_CODE})\b\s*#?\s*(\d{{4,8}})\b", 0.85, 0.85),
    Rule("PIN", r"(?i)\bpin\b\s*#?\s*(\d{4,8})\b", 0.85, 0.85, within=no_date),
    Rule(
        "USERNAME",
        rf"(?i)\b(?:user ?name|user ?id|login(?: name)?|benutzername|nom d'utilisateur|usuario)\b(?:{_SURE})([\pL\pN][\pL\pN._@+-]+)",
        0.7,
        0.7,
        bare=False,
    ),
    Rule(
        "LICENSE_PLATE",
        r"(?i)\b(?:licen[cs]e plate|number ?plate|registration plate|plate (?:number|no\.?)|vehicle registration|reg(?:istration)? (?:number|no\.?)|kennzeichen|matrícula|targa|immatriculation)"
        r"[^\pL\pN\n]{0,4}(?:(?:is|ist|est|es|number|no)[^\pL\pN\n]{1,3}){0,2}((?-i:[A-Z0-9ÄÖÜ]{1,4}(?:[ -]?[A-Z0-9]{1,4}){1,3}))\b",
        0.85,
        0.85,
        "",
        lambda text: any(map(str.isdigit, text)),
        bare=False,
        within=no_date,
    ),
)
_US_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|"
    "TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|PR"
)
PLACES = (
    Rule(
        "ADDRESS",
        rf"\b(\d{{1,6}}[A-Za-z]?(?:[-/]\d{{1,4}})?,? (?:(?:[NSEW]|North|South|East|West)\.? )?(?:{_CAP} |\d{{1,3}}(?:st|nd|rd|th) ){{1,4}}(?:{_STREET})\b\.?(?:,?\s+(?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.? ?#?\w{{1,6}})?)",
        0.85,
        0.9,
        bare=False,
    ),
    Rule(
        "ADDRESS",
        r"(\p{Lu}[\pL-]+(?:straße|strasse|str\.|weg|platz|allee|gasse|ufer|damm|ring|vej|gade|gata|gatan|vägen|veien|straat|laan|plein|tie|katu|kuja|utca) \d{1,4} ?[a-zA-Z]?)\b",
        0.85,
        0.9,
        bare=False,
    ),
    Rule(
        "ADDRESS",
        rf"(\d{{1,4}},? (?:bis |ter )?(?i:rue|avenue|boulevard|place|chemin|allée|impasse|quai|route|cours) (?:(?:de|du|des|la|le|l'|d'|de la|de l') ?){{0,2}}{_CAP}(?: {_CAP}){{0,3}})",
        0.85,
        0.9,
        bare=False,
    ),
    Rule(
        "ADDRESS",
        rf"((?:Calle|Avenida|Av\.|Avda\.|Plaza|Paseo|Carrera|Via|Viale|Corso|Piazza|Vicolo|Rua|Travessa|Largo|Praça|ul\.|Ulica|ulica|Rruga|ул\.|улица|проспект)\s(?:(?:de|del|della|di|da|do|dos|la|las|los)\s){{0,2}}(?:{_CAP}\s?){{1,4}},?\s?(?:n\.?º?\s?)?\d{{1,5}})\b",
        0.85,
        0.9,
        bare=False,
    ),
    Rule(
        "ADDRESS",
        r"(?i)\b(?:p\.? ?o\.? box|postfach|apartado|casella postale|boîte postale) \d{1,7}\b",
        0.85,
        0.85,
        bare=False,
    ),
    Rule("ADDRESS", r"\b(?:Apt\.|Apartment|Suite|Ste\.) #?\d{1,5}[A-Z]?\b", 0.6, 0.7, bare=False),
    Rule(
        "ADDRESS", r"(?i)\b(?:street )?address(?: is|:|=)\s{0,3}(\d{1,6}[^\n;]+?)(?:$|\n|;|\. )", 0.7, 0.7, bare=False
    ),
    Rule("POSTAL_CODE", rf"\b(?:{_US_STATES}),? (\d{{5}}(?:-\d{{4}})?)\b", 0.7, 0.9, "zip"),
    Rule("POSTAL_CODE", r"\b[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}\b", 0.7, 0.9, "post ?code"),
    Rule("POSTAL_CODE", r"\b[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d\b", 0.75, 0.9, "postal"),
    Rule(
        "POSTAL_CODE",
        r"(?i)\b(?:zip(?: ?code)?|post(?:al)? ?code|plz|postleitzahl|code postal|código postal|cap|postcode|kod pocztowy|cep)\b[^\pL\pN\n]{0,4}(?:is |ist |est |es )?([0-9][0-9A-Z]{2,5}(?:[ -][0-9A-Z]{2,4})?)\b",
        0.85,
        0.85,
        bare=False,
    ),
)
PERSONAL = tuple(replace(rule, anywhere=True) for rule in (*CONTACT, *WEB, *BIRTH_AND_AGE, *CREDENTIALS, *PLACES))
"""Long or without digits, most of them, and few beside the numbers: all are looked for in the whole text."""
