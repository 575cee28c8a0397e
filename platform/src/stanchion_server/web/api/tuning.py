"""Reviewed calls as files for fine-tuning, a line each, read while they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import chain

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.feedback import downloads
from stanchion_server.feedback.downloads import Download
from stanchion_server.feedback.ratings import Source
from stanchion_server.feedback.tuning import SHAPES, Pair, Review, line
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.reports.tuning import MOST_LINES, Counts, Reviews
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.parameters import RANGE, Parameter

DEFAULT_RANGE = timedelta(days=30)
FORMATS = {"jsonl": "jsonl", "counts": "counts"}
COUNTING_S = 10.0
"""A worker of the server is held so long at most, and a read of a hundred ratings longer."""
REVIEWS = {one.value: one for one in Review}
SOURCES = {one.value: one for one in Source}


def lines_at_most(value: str) -> int:
    """1 to MOST_LINES."""
    if not (value.isascii() and value.isdigit() and len(value) <= 6 and 1 <= int(value) <= MOST_LINES):
        raise ValueError(f"a whole number from 1 to {MOST_LINES}")
    return int(value)


class TuningExamples(base.Resource):
    """The counts are of the same calls as the file, and name those that are not in it."""

    scope = Scope.READ_CONTENT
    known = (
        *RANGE,
        Parameter(
            "shape",
            parameters.one_of({name: name for name in SHAPES}),
            "Names in a line: input (continued pre-training), prompt_completion (the default) or input_output.",
            options=tuple(SHAPES),
        ),
        Parameter(
            "review",
            parameters.one_of(REVIEWS),
            "corrected: people wrote the right answer; approved: they rated it good; all (the default).",
            options=tuple(REVIEWS),
        ),
        Parameter(
            "source",
            parameters.one_of(SOURCES),
            "Only ratings that came through this door: page is Stanchion's own pages.",
            options=tuple(SOURCES),
        ),
        Parameter("limit", lines_at_most, f"Lines at most, 1 to {MOST_LINES} (the default).", "integer"),
        Parameter(
            "as",
            parameters.one_of(FORMATS),
            "jsonl (the default), or counts: what the file holds and what it leaves out.",
            options=tuple(FORMATS),
        ),
    )

    @base.described(
        "list_tuning_examples",
        "Reviewed calls as lines for fine-tuning, by the time of their ratings, the latest first",
        shapes.schema_of(Counts),
        known,
        tag="feedback",
    )
    def get(self, request: Request) -> Response | StreamingHttpResponse:
        values = dict(self.values)
        start, end = parameters.time_range(values, DEFAULT_RANGE)
        wanted = values.get("review", Review.ALL)
        limit = values.get("limit", MOST_LINES)
        reviews = Reviews(self.asker.project_id, start, end, wanted, limit, values.get("source"))
        pairs = reviews.pairs()
        if values.get("as") == "counts":
            _read_in_time(pairs)
            return self.answer(reviews.counts)
        shape = values.get("shape", "prompt_completion")
        first = next(pairs)  # what goes wrong at once is an answer, not half a file
        asked = {
            "shape": shape, "review": wanted.value, "source": values["source"].value if "source" in values else "",
            "limit": str(limit), "start": start.isoformat(), "end": end.isoformat(),
        }  # fmt: skip
        lines: Iterator[bytes] = iter(())
        if request.method == "GET":  # a HEAD takes no file
            number = downloads.begin(self.asker.project_id, self.asker.actor, asked)
            lines = _lines(shape, chain([first], pairs), number)
        answer = StreamingHttpResponse(lines, content_type="application/jsonl")
        name = f"stanchion-{shape.replace('_', '-')}-{wanted.value}.jsonl"
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer


class TuningDownloads(base.Resource):
    scope = Scope.ADMIN
    known = ()

    @base.described(
        "list_tuning_downloads", "Who took files for fine-tuning, the newest 100 first", shapes.list_schema(Download),
        known, tag="feedback",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        return self.answer({"items": downloads.newest(self.asker.project_id)})


def _read_in_time(pairs: Iterator[list[Pair]]) -> None:
    """SenderError once COUNTING_S are over, looked at after each hundred ratings."""
    end_s = clock.monotonic_s() + COUNTING_S
    for _ in pairs:
        if clock.monotonic_s() > end_s:
            raise SenderError(
                "counting_too_slow",
                f"Counting took longer than {COUNTING_S:.0f} s. Ask for a shorter time (`start`, `end`), for one"
                " `review` or `source`, or for a lower `limit`; the file itself has no such limit.",
                422,
            )


def _lines(shape: str, pairs: Iterator[list[Pair]], number: int) -> Iterator[bytes]:
    sent = 0
    try:
        for some in pairs:
            yield b"".join(line(shape, pair) for pair in some)
            sent += len(some)
    finally:
        downloads.end(number, sent)
