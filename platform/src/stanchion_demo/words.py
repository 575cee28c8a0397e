"""The shop's vocabulary, and a small grammar: `[a|b]` picks one, `{name}` is filled in from a conversation's facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random

_CHOICE = re.compile(r"\[([^\[\]]*)\]")

PRODUCTS = {
    "Alder standing desk": 489.0, "Alder desk frame": 329.0, "Fjord office chair": 279.0, "Fjord footrest": 49.9,
    "Linde bookshelf": 219.0, "Linde wall shelf": 69.0, "Moor wool blanket": 89.0, "Moor cushion set": 54.5,
    "Rowan floor lamp": 129.0, "Rowan desk lamp": 74.0, "Hazel cutting board": 39.0, "Hazel knife block": 95.0,
    "Aurora e-bike": 1899.0, "Aurora e-bike battery": 449.0, "Aurora bike charger": 79.0, "Tern cargo trailer": 399.0,
    "Sorrel coffee grinder": 149.0, "Sorrel kettle": 64.0, "Willow crib": 259.0, "Willow changing table": 189.0,
    "Juniper garden table": 349.0, "Juniper bench": 199.0, "Sedge rain barrel": 119.0, "Bracken tool chest": 159.0,
    "Cedar wardrobe": 649.0, "Cedar shoe rack": 79.0, "Larch bed frame": 529.0, "Larch mattress topper": 169.0,
}  # fmt: skip
CITIES = (
    "Hamburg", "Leipzig", "Graz", "Basel", "Lyon", "Ghent", "Utrecht", "Aarhus", "Malmö", "Porto", "Valencia",
    "Turin", "Brno", "Gdańsk", "Cork", "Leeds", "Tampere", "Linz", "Nantes", "Kiel", "Bremen", "Dijon",
)  # fmt: skip
CARRIERS = ("DHL", "DPD", "GLS", "UPS", "PostNord", "Hermes")
COLOURS = ("oak", "walnut", "graphite", "sand", "forest green", "white", "slate blue", "natural ash")
NAMES = ("Ada Brandt", "Jonas Weiss", "Mira Kowalska", "Luc Moreau", "Ingrid Dahl", "Tom Okafor", "Sofia Rossi",
         "Henrik Lund", "Carla Mendes", "Yusuf Demir", "Nora Byrne", "Pavel Novák", "Elise Martin", "Oskar Lindqvist",
         "Leila Haddad", "Marek Zieliński", "Hanna Vogel", "Diego Ruiz", "Anouk de Vries", "Samir Patel")  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
PARTS = ("the left drawer runner", "the motor", "the charging port", "one of the legs", "the height control",
         "the back rest", "the power supply", "two of the hinges", "the display", "the armrest")  # fmt: skip
FAULTS = ("makes a grinding noise", "stopped working", "came with a crack", "wobbles", "will not lock",
          "gets very warm", "is missing two screws", "arrived scratched", "shows error E4",
          "smells of glue after a week")  # fmt: skip
ROOMS = ("a small home office", "a child's room", "a balcony", "a rented flat with thin walls", "a workshop",
         "a hallway")  # fmt: skip

Facts = Mapping[str, str]


def facts(rng: Random, at: datetime) -> dict[str, str]:
    """What one conversation is about: an order, a product, a person, and dates that fit each other."""
    product, other = rng.sample(tuple(PRODUCTS), 2)
    colour, other_colour = rng.sample(COLOURS, 2)
    ordered = at - timedelta(days=rng.randint(2, 40))
    due = at + timedelta(days=rng.randint(1, 6))
    name = rng.choice(NAMES)
    return {
        "product": product,
        "other": other,
        "price": f"€{PRODUCTS[product]:.2f}",
        "half": f"€{PRODUCTS[product] / 2:.2f}",
        "order": f"BW-{rng.randint(104_000, 998_999)}",
        "parcel": f"{rng.choice('JKLM')}{rng.randint(10**9, 10**10 - 1)}",
        "ticket": f"T-{rng.randint(20_000, 69_999)}",
        "city": rng.choice(CITIES),
        "carrier": rng.choice(CARRIERS),
        "colour": colour,
        "othercolour": other_colour,
        "name": name,
        "first": name.split()[0],
        "mail": name.lower().replace(" ", ".").encode("ascii", "ignore").decode() + "@example.com",
        "phone": f"+49 30 23125 {rng.randint(100, 999)}",
        "ordered": f"{ordered:%-d %B}",
        "due": f"{due:%A, %-d %B}",
        "day": rng.choice(WEEKDAYS),
        "days": str(rng.randint(2, 14)),
        "weeks": str(rng.randint(2, 9)),
        "months": str(rng.randint(3, 22)),
        "part": rng.choice(PARTS),
        "fault": rng.choice(FAULTS),
        "room": rng.choice(ROOMS),
        "fee": f"€{rng.choice((4.9, 5.9, 6.9, 29.0)):.2f}",
    }


def write(rng: Random, template: str, known: Facts) -> str:
    """The template with its choices made and its blanks filled."""
    text = template
    while found := _CHOICE.search(text):
        text = text[: found.start()] + rng.choice(found[1].split("|")) + text[found.end() :]
    for name, value in known.items():
        text = text.replace("{" + name + "}", value)
    return " ".join(text.split(" ")).strip()


def tokens(text: str) -> int:
    """About how many tokens a provider counts for a text: 4.2 characters each, as for English with these tokenisers."""
    return max(1, round(len(text) / 4.2))
