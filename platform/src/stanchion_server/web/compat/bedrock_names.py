"""Our labels in Bedrock's words, and back. Enumerations of the service model in botocore 1.44.5, read 2026-11."""

from __future__ import annotations

from collections.abc import Mapping

PII_OF: Mapping[str, str] = {
    "ADDRESS": "ADDRESS",
    "AGE": "AGE",
    "BANK_ACCOUNT": "US_BANK_ACCOUNT_NUMBER",
    "CARD_EXPIRY": "CREDIT_DEBIT_CARD_EXPIRY",
    "CA_SIN": "CA_SOCIAL_INSURANCE_NUMBER",
    "CREDIT_CARD": "CREDIT_DEBIT_CARD_NUMBER",
    "CVV": "CREDIT_DEBIT_CARD_CVV",
    "DRIVER_LICENSE": "DRIVER_ID",
    "EMAIL": "EMAIL",
    "IBAN": "INTERNATIONAL_BANK_ACCOUNT_NUMBER",
    "IP_ADDRESS": "IP_ADDRESS",
    "LICENSE_PLATE": "LICENSE_PLATE",
    "MAC_ADDRESS": "MAC_ADDRESS",
    "PASSPORT": "US_PASSPORT_NUMBER",
    "PASSWORD": "PASSWORD",
    "PERSON": "NAME",
    "PHONE": "PHONE",
    "PIN": "PIN",
    "SWIFT_BIC": "SWIFT_CODE",
    "UK_NHS": "UK_NATIONAL_HEALTH_SERVICE_NUMBER",
    "UK_NINO": "UK_NATIONAL_INSURANCE_NUMBER",
    "UK_UTR": "UK_UNIQUE_TAXPAYER_REFERENCE_NUMBER",
    "URL": "URL",
    "USERNAME": "USERNAME",
    "US_ITIN": "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER",
    "US_ROUTING": "US_BANK_ROUTING_NUMBER",
    "US_SSN": "US_SOCIAL_SECURITY_NUMBER",
    "VIN": "VEHICLE_IDENTIFICATION_NUMBER",
}
LABEL_OF = {kind: label for label, kind in PII_OF.items()}
"""Bedrock has one type more that we do not detect: CA_HEALTH_NUMBER."""
SECRET_OF: Mapping[str, str] = {name: name for name in ("AWS_ACCESS_KEY", "AWS_SECRET_KEY")}

FILTER_OF: Mapping[tuple[str, str], str] = {
    ("toxicity", "toxic"): "INSULTS",
    ("toxicity", "hate"): "HATE",
    ("toxicity", "sexual"): "SEXUAL",
    ("toxicity", "violence"): "VIOLENCE",
    ("toxicity", "self_harm"): "VIOLENCE",
    ("harmful_intent", ""): "MISCONDUCT",
    ("prompt_injection", ""): "PROMPT_ATTACK",
    ("prompt_injection_model", ""): "PROMPT_ATTACK",
    ("harmful_intent_model", ""): "MISCONDUCT",
    ("toxicity_model", ""): "INSULTS",
    ("known_attack", ""): "PROMPT_ATTACK",
    ("system_prompt_leak", ""): "PROMPT_ATTACK",
    ("obfuscation", ""): "PROMPT_ATTACK",
}
GROUNDING_OF: Mapping[str, str] = {"groundedness": "GROUNDING", "relevance": "RELEVANCE"}
PROFANITY = "PROFANITY"
"""Bedrock's one managed list of words, and the label under which ours is found."""
PROFANE: tuple[str, ...] = (
    "arsehole", "arseholes", "asshole", "assholes", "bastard", "bastards", "bitch", "bitches", "bitching", "bollocks",
    "bullshit", "bullshitting", "clusterfuck", "cocksucker", "cocksuckers", "cunt", "cunts", "dickhead",
    "dickheads", "dipshit", "douchebag", "douchebags", "dumbass", "dumbfuck", "fuck", "fucked", "fucker", "fuckers",
    "fuckface", "fuckhead", "fucking", "fucks", "fuckwit", "goddamn", "horseshit", "jackass", "jackasses", "jerkoff",
    "motherfucker", "motherfuckers", "motherfucking", "piss off", "pissed off", "shit",
    "shite", "shithead", "shitheads", "shithole", "shits", "shitting", "shitty", "slut", "sluts", "son of a bitch",
    "twat", "twats", "wanker", "wankers", "whore", "whores",
)  # fmt: skip
"""Swear words of English, ours: Bedrock's list is longer and not public. Words that are harmless as often are left
out."""
WORDS = frozenset({"words", "canary"})
ACTION_OF: Mapping[str, str] = {
    "allow": "NONE", "flag": "NONE", "redact": "ANONYMIZED", "reask": "BLOCKED", "fallback": "BLOCKED",
    "block": "BLOCKED",
}  # fmt: skip
UNITS: Mapping[str, str] = {
    "topic": "topicPolicyUnits", "content": "contentPolicyUnits", "word": "wordPolicyUnits",
    "sensitive": "sensitiveInformationPolicyUnits", "regex": "sensitiveInformationPolicyFreeUnits",
    "grounding": "contextualGroundingPolicyUnits",
}  # fmt: skip


def entity_of(detector: str, label: str) -> str | None:
    """Bedrock's type for what a detector found, None where it has none."""
    return {"pii": PII_OF, "secrets": SECRET_OF}.get(detector, {}).get(label)


def filter_of(detector: str, label: str) -> str | None:
    return FILTER_OF.get((detector, label)) or FILTER_OF.get((detector, ""))


def kind_of(detector: str) -> str:
    """The Bedrock policy that a detector's findings are told under."""
    if detector in GROUNDING_OF:
        return "grounding"
    if detector in WORDS:
        return "word"
    if detector in ("topic", "embedding_topic"):
        return "topic"
    if any(name == detector for name, _ in FILTER_OF):
        return "content"
    return "sensitive" if detector == "pii" else "regex"


def confidence(score: float) -> str:
    """Bedrock has four bands where we have a score."""
    return "HIGH" if score >= 0.8 else "MEDIUM" if score >= 0.6 else "LOW"


def strength(threshold: float) -> str:
    """A filter is strong that acts on little evidence."""
    return "HIGH" if threshold <= 0.4 else "MEDIUM" if threshold <= 0.6 else "LOW"


THRESHOLD_OF: Mapping[str, float] = {"HIGH": 0.4, "MEDIUM": 0.6, "LOW": 0.8}
