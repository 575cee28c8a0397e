"""What runs without a person waiting: ticket summaries, review triage, product texts, digests of reviews."""

# ruff: noqa: E501 - a text stands on one line where that reads best

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

from stanchion_demo import catalogue, planted_texts
from stanchion_demo.catalogue import Prompt
from stanchion_demo.steps import Kind, Turn, Usage
from stanchion_demo.support_texts import TOPICS
from stanchion_demo.words import Facts, write

SUMMARY_TEXT = (
    "Summarise the ticket below for a colleague who takes it over. Write three lines: Problem, Done so far, Next step. Name the order, the product, dates and "
    "amounts exactly as they stand in the ticket. Leave out greetings, signatures and everything about the person that the case does not need. If something is "
    "unclear, say so instead of guessing. Do not propose anything that the handbook does not allow."
)
TRIAGE_TEXT = (
    "Classify the customer review. Answer with one JSON object and nothing else: sentiment (positive, mixed, negative), topic (delivery, quality, service, price), "
    "urgent (true when somebody was hurt, a product got hot, or a lawyer is mentioned)."
)
COPY_TEXT = "Write a product text of sixty to ninety words for Birchwood's shop. Concrete, no superlatives, no exclamation marks. Mention material, use and care."
DIGEST_TEXT = "Read all reviews below and write a digest for the buyers: what is praised, what breaks, which products stand out. Quote nobody."
PREFILL_PER_S = 2_500
"""Prompt tokens a second on one of the shop's cards: made up, of the size that vLLM reaches with 8B on an L4."""

_MAILS = (
    "From: {name}\nOrder {order}, {product}, {price}.\n{first} writes on {ordered} that {part} {fault}. A photo is attached, the serial number is [readable|not readable].",
    "Support, two days later: asked for the serial number and offered [a spare part|a repair]. The customer prefers [a refund|a replacement] because it is [the second failure|needed by {due}].",
    "Support: {carrier} confirms the parcel {parcel} was [damaged|opened] in {city}. A claim is open under {ticket}; the carrier answers within five working days.",
    "Customer: [still no news|nothing has happened] after {days} days. [Wants to speak to a person.|Mentions a lawyer.|Asks for {half} back and would keep it.]",
    "Warehouse: one {product} in {colour} [is reserved|was set aside] and can leave on {day}. The old one [need not come back|goes back with the forwarder].",
    "Support: the customer was called under the number in the account and [agreed|did not pick up]. Next contact on {due}.",
)
_SUMMARIES = (
    "Problem: {part} of the {product} (order {order}, {price}) {fault}, reported on {ordered}.\nDone so far: photo received, claim {ticket} opened, {carrier} asked about parcel {parcel}.\nNext step: [send the replacement on {day}|answer the customer] by {due}.",
    "Problem: order {order}, {product}: {part} {fault}; the customer [wants a replacement|asks for {half} back].\nDone so far: [spare part offered|repair offered], one unit in {colour} reserved.\nNext step: call the customer by {due}; the serial number is still [missing|unclear].",
)
_INVENTED_SUMMARY = "Problem: the customer was injured by the {other} and has involved the police in {city}.\nDone so far: {price} were refunded twice and a voucher of €200.00 was sent.\nNext step: none, the case was closed by the management on {ordered}."
_REVIEWS = (
    (
        "positive",
        "[Love|Really like] the {product}. {colour} looks [better than in the pictures|great in {room}], assembly took an hour. [{carrier} was on time.|]",
    ),
    ("positive", "{months} months in daily use and {part} is as good as new. [Would buy again.|Worth the {price}.]"),
    (
        "mixed",
        "The {product} is fine, but [delivery took {weeks} weeks|the manual is hopeless|the box was torn]. Support [answered quickly|sorted it out].",
    ),
    ("mixed", "[Nice|Solid], though {part} {fault}. They sent a new one within {days} days, so three stars."),
    ("negative", "{part} {fault} after {months} months. For {price} I expected more. [Not again.|Sent it back.]"),
    (
        "negative",
        "Ordered {colour}, got {othercolour}. [Nobody answers.|Third mail without an answer.] [Very disappointed.|]",
    ),
)
_COPY = (
    "The {product} in {colour} is made for {room}. Its surface is [oiled|varnished] and can be wiped with a damp cloth; [once a year it wants a little oil|it needs no further care]. It is put together by two people in about an hour, and every part can be ordered again for ten years. Goes well with the {other}.",
    "Plain, sturdy and easy to repair: the {product} comes in {colour} and {othercolour}. The edges are rounded, the screws are made of steel, and the wood comes from forests within three hundred kilometres of the workshop in {city}. Wipe it dry after cleaning. It fits {room} as well as a larger place.",
)  # fmt: skip
_DIGEST = "Praised: the {product} in {colour}, [quick answers of support|careful packing] and how long {part} lasts. Breaks: {part} of the {other} {fault}, mostly [in the first weeks|after {months} months]. [{carrier} is named for late parcels in {city}.|Assembly takes longer than the manual says.] Stands out: the {product}, [liked for|bought for] {room}."

SUMMARY = Prompt("ticket-summary", "4", SUMMARY_TEXT)
TRIAGE = Prompt("review-triage", "2", TRIAGE_TEXT)
COPY = Prompt("product-copy", "11", COPY_TEXT)
DIGEST = Prompt("review-digest", "3", DIGEST_TEXT)


def summary(rng: Random, facts: Facts) -> tuple[list[Turn], frozenset[Kind]]:
    """A long ticket, a short text. One in fifteen tells something that is not in the ticket."""
    planted: set[Kind] = set()
    mails = [write(rng, text, facts) for text in rng.sample(_MAILS, rng.randint(3, 6))]
    topic = rng.choice(TOPICS)
    mails += [f"Customer: {write(rng, rng.choice(topic.questions), facts)}" for _ in range(rng.randint(1, 9))]
    text = write(rng, rng.choice(_SUMMARIES), facts)
    if rng.random() < 0.065:
        planted.add(Kind.UNGROUNDED)
        text = write(rng, _INVENTED_SUMMARY, facts)
    model = rng.choices((catalogue.SONNET, catalogue.GPT_41), weights=(70, 30))[0]
    ticket = f"Ticket {facts['ticket']}\n\n" + "\n---\n".join(mails)
    call = catalogue.call(rng, model, SUMMARY, [{"role": "user", "content": ticket}], text)
    return [Turn(0.0, (call,))], frozenset(planted)


def triage(rng: Random, facts: Facts) -> tuple[list[Turn], frozenset[Kind]]:
    planted: set[Kind] = set()
    sentiment, template = rng.choice(_REVIEWS)
    review = write(rng, template, facts)
    if sentiment == "negative" and rng.random() < 0.06:
        planted.add(Kind.TOXIC_INPUT)
        review = write(rng, rng.choice(planted_texts.TOXIC_QUESTIONS), facts)
    topic = rng.choice(("delivery", "quality", "service", "price"))
    label = json.dumps({"sentiment": sentiment, "topic": topic, "urgent": "warm" in review})
    model = rng.choices((catalogue.MISTRAL_SMALL, catalogue.LLAMA), weights=(60, 40))[0]
    call = catalogue.call(rng, model, TRIAGE, [{"role": "user", "content": review}], label)
    return [Turn(0.0, (call,))], frozenset(planted)


def copy(rng: Random, facts: Facts) -> tuple[list[Turn], frozenset[Kind]]:
    sheet = f"Product: {facts['product']}\nColours: {facts['colour']}, {facts['othercolour']}\nPrice: {facts['price']}\nFor: {facts['room']}"
    text = write(rng, rng.choice(_COPY), facts)
    call = catalogue.call(rng, catalogue.GEMINI_FLASH, COPY, [{"role": "user", "content": sheet}], text)
    return [Turn(0.0, (call,))], frozenset()


def digest(rng: Random, facts: Facts) -> tuple[list[Turn], frozenset[Kind]]:
    """The hourly work of the shop's own model: a long prompt of which the job withholds the reviews themselves from
    its telemetry, as those who wrote them never agreed to that. Nine in ten were read the hour before already, and the
    engine still has them in its prefix cache."""
    reviews = rng.randint(300, 520)
    asked = f"[{reviews} reviews of the last seven days, withheld from telemetry]"
    text = write(rng, _DIGEST, facts)
    call = catalogue.call(rng, catalogue.LLAMA, DIGEST, [{"role": "user", "content": asked}], text)
    usage = Usage(call.usage.fresh_tokens + 15 * reviews, call.usage.output_tokens, cached_tokens=135 * reviews)
    latency_s = round(call.latency_s + usage.fresh_tokens / PREFILL_PER_S, 3)
    return [Turn(0.0, (replace(call, usage=usage, latency_s=latency_s),))], frozenset()
