"""The support bot's guard policy in its three versions, as the shop would write it."""

from __future__ import annotations

NAME = "support-bot"

_HEAD = """\
# What Birchwood's support bot may read and say.
policy: support-bot
version: {number}
description: Personal data, keys, attacks and insults in the conversations of the support bot.
deadline_ms: 50
size: {{max_characters: 50000, beyond: flag}}
redact: {{mode: label}}
message: "I can only help with orders, returns and products at Birchwood. A colleague answers within one working day."
defaults: {{when_late: flag, when_failed: flag}}

rules:
  - id: personal-data
    stages: [output]
    detector: pii
    labels: [EMAIL, PHONE, CREDIT_CARD, IBAN]
    action: redact
  - id: payment-data
    stages: [input]
    detector: pii
    labels: [CREDIT_CARD, IBAN]
    action: redact
  - id: keys
    stages: [input, output]
    detector: secrets
    action: redact
"""
_TESTS = """
tests:
  - name: a card number is masked
    stage: input
    text: "My card 4242 4242 4242 4242 was declined."
    expect: {action: redact, rules: [payment-data]}
  - name: an ordinary question passes
    stage: input
    text: "Where is my order BW-20417? It should have come on Monday."
    expect: {action: allow}
"""
_OBSERVED = """\
  - id: attack
    stages: [input]
    detector: prompt_injection
    action: flag
  - id: insult
    stages: [input, output]
    detector: toxicity
    action: flag
"""
_BLOCKING = """\
  - id: attack
    stages: [input]
    detector: prompt_injection
    action: block
  - id: attack-in-handbook
    stages: [retrieved]
    detector: prompt_injection
    action: flag
  - id: insult
    stages: [input]
    detector: toxicity
    action: flag
  - id: insulting-answer
    stages: [output]
    detector: toxicity
    action: fallback
    message: "I am sorry, I cannot answer that well. A colleague takes over."
"""
_STRICTER = """\
  - id: attack
    stages: [input]
    detector: prompt_injection
    action: block
  - id: attack-in-handbook
    stages: [retrieved]
    detector: prompt_injection
    action: block
  - id: insult
    stages: [input]
    detector: toxicity
    action: block
  - id: insulting-answer
    stages: [output]
    detector: toxicity
    action: block
  - id: promises
    stages: [output]
    detector: words
    parameters: {label: promise, words: [voucher, lifetime warranty, for free, free of charge]}
    action: flag
"""

VERSIONS = {
    1: ("Observe first: mask payment data and keys, flag the rest.", _HEAD.format(number=1) + _OBSERVED + _TESTS),
    2: ("Block attacks, replace insulting answers, read the handbook.", _HEAD.format(number=2) + _BLOCKING + _TESTS),
    3: ("Block insults too, and tell of promises.", _HEAD.format(number=3) + _STRICTER + _TESTS),
}
"""Number to note and text; the numbers are those the server gives when they are published in this order."""

NO_TIME = VERSIONS[2][1].replace("deadline_ms: 50", "deadline_ms: 0.02")
"""Version 2 on a machine so busy that rules miss the deadline."""
