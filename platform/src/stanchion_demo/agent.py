"""The order agent: looks things up with tools, step by step, until it can answer. One release of it forgets to stop."""

# ruff: noqa: E501 - a text stands on one line where that reads best

from __future__ import annotations

import json
from random import Random
from typing import Any

from stanchion_demo import catalogue
from stanchion_demo.catalogue import Model, Prompt
from stanchion_demo.steps import Kind, Message, ModelCall, Step, ToolUse, Turn
from stanchion_demo.support import fail
from stanchion_demo.words import PRODUCTS, Facts, write

TOOLS: dict[str, tuple[str, dict[str, str]]] = {
    "find_order": ("Look up an order with its parcels and payments", {"order": "Order number, BW- and six digits"}),
    "track_parcel": ("Scans of a parcel", {"parcel": "Parcel number", "carrier": "Name of the carrier"}),
    "check_stock": ("Free units of a product by colour", {"product": "Name of the product", "colour": "Colour"}),
    "create_return": ("Open a return and make its label", {"order": "Order number", "reason": "Why, in a few words"}),
    "list_open_orders": ("All open orders, newest first", {"page": "Page of fifty, from 1"}),
}
SYSTEM = (
    "You are the order agent of Birchwood. You work through tasks that colleagues hand you, with the tools you have. Look things up before you state them; never invent order, parcel or "
    "ticket numbers. Call one tool at a time. Returns above 300 euros and anything with a battery are prepared but not created: a person confirms them. When the task is done, answer with "
    "what you found, what you changed and what is left, in at most five sentences."
)
_TASKS = (
    "Customer {name} asks where order {order} is. [Find out and draft an answer.|Check the tracking and tell me what to write.]",
    "Please open a return for {order}: {part} {fault}. [A replacement in {colour} if there is one.|The customer wants the money back.]",
    "Is the {product} in {colour} free to replace the one in {order}? [If so, reserve nothing yet.|The customer would take {othercolour} too.]",
    "Parcel {parcel} has not moved for {days} days. [What does {carrier} say?|Is it lost?] Order {order}.",
)
_ENDS = (
    "Order {order} ({product}, {price}) left on {ordered} with {carrier}; the last scan of {parcel} was in {city}, delivery is planned for {due}. I changed nothing. Draft: your parcel should arrive by {due}; if not, please write to us.",
    "The return for {order} is prepared: reason '{part} {fault}', label for {carrier}. One {product} in {colour} is free in Leipzig. Left to do: confirm the return, as it is above 300 euros.",
    "There are {days} free units of the {product} in {colour}. Order {order} can be replaced from stock; nothing is reserved yet.",
)
_LOOPED_END = (
    "I could not finish: the list of open orders has more pages than I can read in one go. Please narrow the task down."
)
VERSIONS = {"1.8.2": "11", "1.9.0": "12"}


def run(rng: Random, facts: Facts, release: str, failure: int) -> tuple[list[Turn], frozenset[Kind]]:
    """Two to four tools, then an answer."""
    task = write(rng, rng.choice(_TASKS), facts)
    model = rng.choices((catalogue.GPT_5_MINI, catalogue.SONNET), weights=(55, 45))[0]
    tools = [("find_order", _order(facts)), *rng.sample(_others(rng, facts), rng.randint(1, 2))]
    planted: set[Kind] = set()
    steps = _steps(rng, model, release, task, tools, write(rng, rng.choice(_ENDS), facts))
    if failure:
        planted.add({429: Kind.RATE_LIMITED, 408: Kind.TIMED_OUT}.get(failure, Kind.SERVER_ERROR))
        last = steps[-1]
        assert isinstance(last, ModelCall)
        steps[-1] = fail(rng, last, failure)
    return [Turn(0.0, tuple(steps))], frozenset(planted)


def loop(rng: Random, facts: Facts, release: str) -> tuple[list[Turn], frozenset[Kind]]:
    """The nightly list job in a loop: it reads page after page and sends everything it has read again, every time."""
    task = "Go through all open orders and list those that wait for a part. Tell me the three oldest."
    pages = [("list_open_orders", _page(rng, number)) for number in range(1, rng.randint(9, 12))]
    steps = _steps(rng, catalogue.SONNET_UNCACHED, release, task, pages, _LOOPED_END)
    return [Turn(0.0, tuple(steps))], frozenset({Kind.COST_SPIKE})


Found = tuple[dict[str, Any], Any]


def _steps(rng: Random, model: Model, release: str, task: str, tools: list[tuple[str, Found]], end: str) -> list[Step]:
    prompt = Prompt("order-agent-system", VERSIONS[release], SYSTEM)
    messages: list[Message] = [{"role": "user", "content": task}]
    steps: list[Step] = []
    for place, (name, (arguments, result)) in enumerate(tools):
        asked = (name, dict(arguments))
        steps.append(catalogue.call(rng, model, prompt, messages, "", tool=asked, offers_tools=True))
        steps.append(ToolUse(name, arguments, result, round(rng.lognormvariate(-1.8, 0.6), 3)))
        messages += exchange(model.api, f"call_{place + 1:02d}{rng.randint(1000, 9999)}", name, arguments, result)
    steps.append(catalogue.call(rng, model, prompt, messages, end, offers_tools=True))
    return steps


def exchange(api: str, identity: str, name: str, arguments: dict[str, Any], result: Any) -> list[Message]:
    """A tool's call and its result, in the words of each API."""
    text, given = json.dumps(result, ensure_ascii=False), json.dumps(arguments, ensure_ascii=False)
    if api == "responses":
        return [
            {"type": "function_call", "call_id": identity, "name": name, "arguments": given},
            {"type": "function_call_output", "call_id": identity, "output": text},
        ]
    return [
        {"role": "assistant", "content": [{"type": "tool_use", "id": identity, "name": name, "input": arguments}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": identity, "content": text}]},
    ]


def _order(facts: Facts) -> Found:
    lines = [{"product": facts["product"], "colour": facts["colour"], "price": facts["price"]}]
    parcels = [{"number": facts["parcel"], "carrier": facts["carrier"]}]
    found = {"order": facts["order"], "ordered": facts["ordered"], "lines": lines, "parcels": parcels}
    return {"order": facts["order"]}, found


def _others(rng: Random, facts: Facts) -> list[tuple[str, Found]]:
    scans = [{"place": facts["city"], "event": event} for event in ("accepted", "sorted", "out for delivery")]
    reason = f"{facts['part']} {facts['fault']}"
    return [
        ("track_parcel", ({"parcel": facts["parcel"], "carrier": facts["carrier"]}, {"scans": scans[: rng.randint(1, 3)]})),
        ("check_stock", ({"product": facts["product"], "colour": facts["colour"]}, {"free": rng.randint(0, 14), "warehouse": "Leipzig"})),
        ("create_return", ({"order": facts["order"], "reason": reason}, {"return": facts["ticket"], "status": "waits for confirmation"})),
    ]  # fmt: skip


def _page(rng: Random, number: int) -> Found:
    """Two dozen orders: enough text to make resending it dear."""
    rows = [
        {
            "order": f"BW-{rng.randint(104_000, 998_999)}",
            "product": rng.choice(tuple(PRODUCTS)),
            "waits_days": rng.randint(1, 60),
            "status": rng.choice(("packed", "waits for part", "paid")),
        }
        for _ in range(24)
    ]
    return {"page": number}, {"page": number, "more": True, "orders": rows}
