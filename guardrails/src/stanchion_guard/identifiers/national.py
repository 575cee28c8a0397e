# ruff: noqa: E501 - a pattern or a table broken over lines is harder to check
"""Identity, tax, health and social security numbers by country."""

from __future__ import annotations

from stanchion_guard.identifiers import checksums as c
from stanchion_guard.identifiers.dates import NOT_TOLD_AFTER, no_date, no_year
from stanchion_guard.identifiers.rules import Rule

_TAX = r"tax|tin|steuer|steuer-?id(?:nummer)?|idnr|fiscal|impuesto|contribuinte|vat|tfn|nif"
_ID = r"id|identity|identification|national|citizen|personal|social|insurance|passport|ssn"
_SSN = r"ssn|social security|social|soc sec|ss#|social-security|taxpayer"
_LAST_FOUR = (
    r"(?i)\blast (?:four|4)\b(?: digits)?(?: (?:of|on))?(?: (?:your|my|the|his|her|their))?"
    r" (?:social(?: security)?|ssn|soc sec)\b(?: (?:security )?(?:numbers?|no\b\.?|#))?"
)
_TOLD = (
    r"[\s:=#\"'*-]{0,4}(?:,? ?(?:which )?(?:is|are|was|were|ends? (?:in|with)|ending (?:in|with))[^\pL\pN]{1,4})?"
    r"|[^0-9?.!]{0,25}[?.!][^\pL\pN]{0,4}(?:\pL{1,15}(?: \pL{1,15})?:\s{0,2})?"
    r"(?:(?:yes|yeah|sure|ok|okay|uh|um|so|it|it's|its|is|that|that's|they|they're|are|those|would|should|be|of|course)[^\pL\pN]{1,3}){0,5}"
)
"""What stands between the question and an answer that may look like a year."""


def _date_ymd(digits: str) -> bool:
    return c.short_date(digits[:6], "ymd")


def _passport(text: str) -> bool:
    return sum(letter.isdigit() for letter in text) >= 5


AMERICAS = (
    Rule("US_SSN", r"\b\d{3}-\d{2}-\d{4}\b", 0.85, 1.0, _SSN, c.ssn),
    Rule("US_SSN", r"\b\d{3}[ .]\d{2}[ .]\d{4}\b|\b\d{9}\b", None, 0.9, _SSN, c.ssn),
    Rule("US_SSN_LAST4", rf"{_LAST_FOUR}(?:{_TOLD})\b(\d{{4}})\b", 0.85, 0.85),
    Rule(
        "US_SSN_LAST4", rf"{_LAST_FOUR}[^0-9]{{0,40}}?\b(\d{{4}})\b", 0.85, 0.85, against=NOT_TOLD_AFTER, within=no_year
    ),
    Rule("US_ITIN", r"\b9\d{2}[- ]?\d{2}[- ]?\d{4}\b", None, 0.9, _TAX + "|itin|" + _SSN, c.itin),
    Rule("US_ITIN", r"\b9\d{2}-\d{2}-\d{4}\b", 0.7, 0.9, _TAX + "|itin", c.itin),
    Rule("US_EIN", r"\b\d{2}-\d{7}\b", None, 0.8, r"ein|employer identification|fein|federal tax"),
    Rule(
        "PASSPORT",
        r"\b[A-Z]{0,2}\d{6,9}[A-Z]?\b",
        None,
        0.85,
        r"passport(?: number| no)?|passeport|reisepass|pasaporte|passaporto|passaporte|паспорт",
        _passport,
        within=no_date,
    ),
    Rule(
        "DRIVER_LICENSE",
        r"(?i)\b(?:driv(?:er'?s?|ing)[ -]?(?:licen[cs]e|permit)|f[uü]hrerschein|permis de conduire|dl)\b[^0-9\n]{0,25}?\b([A-Z]{0,5}\d[\dA-Z-]{4,17})\b",
        0.85,
        0.85,
        within=no_date,
    ),
    Rule(
        "MEDICAL_RECORD",
        r"(?i)\b(?:mrn|medical record|patient (?:id|number)|health (?:card|insurance) (?:number|no))\b[^0-9\n]{0,15}([A-Z]{0,3}\d[\d-]{4,14})\b",
        0.8,
        0.8,
        within=no_date,
    ),
    Rule("CA_SIN", r"\b\d{3}[- ]?\d{3}[- ]?\d{3}\b", None, 0.95, r"sin|social insurance|assurance sociale|nas", c.luhn),
    Rule("BR_CPF", r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b", 0.95, 1.0, "cpf", c.cpf),
    Rule("BR_CPF", r"\b\d{11}\b", None, 0.9, "cpf|cadastro", c.cpf),
    Rule("BR_CNPJ", r"\b\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}\b", 0.95, 1.0, "cnpj", c.cnpj),
    Rule("BR_CNPJ", r"\b\d{14}\b", None, 0.9, "cnpj", c.cnpj),
    Rule("MX_CURP", r"\b[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d\b", 0.9, 1.0, "curp", c.curp),
    Rule("CL_RUT", r"\b\d{1,2}\.\d{3}\.\d{3}-[\dkK]\b", 0.85, 1.0, "rut|run", c.rut),
    Rule("CL_RUT", r"\b\d{7,8}-[\dkK]\b", None, 0.9, "rut|run", c.rut),
    Rule("AR_CUIT", r"\b(?:2[03457]|3[034])-\d{8}-\d\b", 0.85, 1.0, "cuit|cuil", c.cuit),
)
BRITISH = (
    Rule("UK_NHS", r"\b\d{3}[- ]?\d{3}[- ]?\d{4}\b", None, 0.95, r"nhs|health service|patient", c.nhs),
    Rule(
        "UK_NINO",
        r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b",
        0.75,
        0.95,
        r"ni(?: number| no)?|nino|national insurance|insurance",
        c.nino,
    ),
    Rule("UK_UTR", r"\b\d{5} ?\d{5}\b", None, 0.85, r"utr|unique taxpayer|self[- ]assessment"),
    Rule("IE_PPS", r"\b\d{7}[A-W][A-IW]?\b", None, 0.9, r"pps(?:n)?|personal public service", c.pps),
)
EUROPE = (
    Rule("ES_DNI", r"\b\d{8}-?[A-HJ-NP-TV-Z]\b", 0.8, 0.95, r"dni|nif|documento|identidad", c.dni),
    Rule("ES_DNI", r"\b\d{2}\.\d{3}\.\d{3}-?[A-HJ-NP-TV-Z]\b", 0.85, 0.95, r"dni|nif|documento", c.dni),
    Rule("ES_NIE", r"\b[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]\b", 0.8, 0.95, r"nie|extranjero", c.dni),
    Rule(
        "IT_FISCAL_CODE",
        r"(?i)\b[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b",
        0.95,
        1.0,
        "codice|fiscale",
        c.codice_fiscale,
        anywhere=True,
    ),
    Rule(
        "FR_NIR",
        r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b",
        0.85,
        1.0,
        r"nir|sécu(?:rité sociale)?|insee",
        c.nir,
    ),
    Rule("DE_TAX_ID", r"\b\d{2} ?\d{3} ?\d{3} ?\d{3}\b", None, 0.95, _TAX, c.steuer_id),
    Rule(
        "DE_SOCIAL_SECURITY",
        r"\b\d{2} ?\d{6} ?[A-Z] ?\d{3}\b",
        None,
        0.85,
        r"sozialversicherung(?:snummer)?|rentenversicherung(?:snummer)?|svnr|rvnr",
    ),
    Rule("NL_BSN", r"\b\d{4}[ .]?\d{2}[ .]?\d{3}\b", None, 0.95, r"bsn|burgerservicenummer|sofi(?:nummer)?", c.bsn),
    Rule("PL_PESEL", r"\b\d{11}\b", None, 0.95, "pesel", c.pesel),
    Rule("BE_NATIONAL_NUMBER", r"\b\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}\b", 0.95, 1.0, "rijksregister|national", c.belgian),
    Rule(
        "BE_NATIONAL_NUMBER",
        r"\b\d{11}\b",
        None,
        0.9,
        r"rijksregister(?:nummer)?|registre national|numéro national|insz|niss",
        c.belgian,
    ),
    Rule("PT_NIF", r"\b\d{3} ?\d{3} ?\d{3}\b", None, 0.95, r"nif|contribuinte|contribuição", c.nif),
    Rule("SE_PERSONNUMMER", r"\b\d{6}[-+]\d{4}\b", 0.75, 0.95, r"personnummer|personal", c.personnummer),
    Rule("SE_PERSONNUMMER", r"\b(?:19|20)\d{6}-?\d{4}\b", 0.7, 0.95, r"personnummer|personal", c.personnummer),
    Rule("FI_HETU", r"\b\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]\b", 0.9, 1.0, "hetu|henkilötunnus", c.hetu, bare=False),
    Rule("DK_CPR", r"\b\d{6}[- ]?\d{4}\b", None, 0.9, r"cpr(?:[- ]nummer|-nr)?|personnummer", c.cpr),
    Rule("NO_FODSELSNUMMER", r"\b\d{6} ?\d{5}\b", None, 0.95, r"f[øo]dselsnummer|personnummer|fnr", c.fodselsnummer),
    Rule("CH_AHV", r"\b756\.?\d{4}\.?\d{4}\.?\d{2}\b", 0.9, 1.0, "ahv|avs", c.ean13),
    Rule("CZ_BIRTH_NUMBER", r"\b\d{6}/\d{3,4}\b", 0.7, 0.95, r"rodné|r\.?č\.?|rodne", c.rodne_cislo),
    Rule("TR_TCKN", r"\b[1-9]\d{10}\b", None, 0.95, r"tckn|t\.?c\.?|kimlik", c.tckn),
    Rule("RO_CNP", r"\b[1-8]\d{12}\b", None, 0.95, "cnp|cod numeric", c.cnp),
)
ASIA_PACIFIC_AFRICA = (
    Rule("AU_TFN", r"\b\d{3} ?\d{3} ?\d{3}\b", None, 0.95, r"tfn|tax file(?: number)?", c.tfn),
    Rule("AU_ABN", r"\b\d{2} ?\d{3} ?\d{3} ?\d{3}\b", None, 0.95, "abn|business number", c.abn),
    Rule("AU_MEDICARE", r"\b[2-6]\d{3} ?\d{5} ?\d(?:[ /-]?\d)?\b", None, 0.95, "medicare", c.medicare_au),
    Rule("IN_AADHAAR", r"\b[2-9]\d{3}[ -]\d{4}[ -]\d{4}\b", 0.7, 0.95, "aadhaar|aadhar|uidai|uid", c.verhoeff),
    Rule("IN_AADHAAR", r"\b[2-9]\d{11}\b", None, 0.95, "aadhaar|aadhar|uidai|uid", c.verhoeff),
    Rule("IN_PAN", r"\b[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]\b", 0.75, 0.95, "pan|income tax|permanent account"),
    Rule("SG_NRIC", r"\b[STFGM]\d{7}[A-Z]\b", 0.85, 0.95, "nric|fin|identity", c.nric),
    Rule("CN_RESIDENT_ID", r"\b[1-8]\d{16}[\dX]\b", 0.9, 1.0, "id|identity", c.resident_id_cn),
    Rule("KR_RRN", r"\b\d{6}-[1-8]\d{6}\b", 0.8, 0.95, "rrn|resident|주민", c.rrn),
    Rule(
        "JP_MY_NUMBER",
        r"\b\d{4}[ -]?\d{4}[ -]?\d{4}\b",
        None,
        0.9,
        "my number|mynumber|individual number|マイナンバー",
        c.my_number,
    ),
    Rule("TH_ID", r"\b\d-\d{4}-\d{5}-\d{2}-\d\b", 0.9, 1.0, "id", c.thai),
    Rule("HK_ID", r"\b([A-Z]{1,2}\d{6}\([0-9A]\))", 0.85, 0.95, "hkid|identity", c.hkid),
    Rule("TW_ID", r"\b[A-Z][12]\d{8}\b", 0.75, 0.9, "id|identity|身分證", c.taiwanese),
    Rule("MY_NRIC", r"\b\d{6}-\d{2}-\d{4}\b", 0.6, 0.9, "nric|mykad|ic|kad pengenalan", _date_ymd),
    Rule("ZA_ID", r"\b\d{6} ?\d{4} ?\d{3}\b", None, 0.95, _ID + "|rsa|south african", c.south_african),
)
NATIONAL = (*AMERICAS, *BRITISH, *EUROPE, *ASIA_PACIFIC_AFRICA)
