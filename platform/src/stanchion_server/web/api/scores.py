"""Scores of calls: single ones, their distribution, and what waits or failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.kernel import clock, db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality import evaluations, outside, services
from stanchion_server.quality.evaluations import Item
from stanchion_server.quality.records import LANES
from stanchion_server.quality.selectors import queue, scores
from stanchion_server.quality.selectors.distributions import GROUPS, Distribution, ScoreQuery, distributions
from stanchion_server.quality.selectors.scores import ScoreFilter, ScoreView
from stanchion_server.tenants.models import Scope
from stanchion_server.traces.selectors import reading
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.parameters import CURSOR, LIMIT, RANGE, Parameter
from stanchion_server.web.api.policies import checked

DEFAULT_RANGE = timedelta(days=7)
SOURCES = ("worker", "api", "telemetry")
FACTS = tuple(
    Parameter(name, parameters.text, f"Only calls with exactly this {name.replace('_', ' ')}.") for name in GROUPS
)
SCORER = Parameter("scorer", parameters.text, "Only scores of this scorer.")
VERSION = Parameter("version", parameters.text, "Only scores of this version.")
TRACE = Parameter("trace_id", parameters.text, "Only scores of this trace (32 hex digits); the time range is not read.")

MAX_ITEMS = 500
_FATES = {
    outside.Fate.NO_SUCH_CALL: SenderError(
        "no_such_call", "No such span is stored in your project. Send the score again when its call has arrived."
    ),
    outside.Fate.CONTRADICTS: SenderError(
        "score_exists", "Another value is kept under this call, name and version. Send a new version to change it."
    ),
}
_TEXT = {"type": "string"}
ITEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "trace_id": {**_TEXT, "description": "32 hex digits."},
        "span_id": {**_TEXT, "description": "16 hex digits: the call, or any other span."},
        "name": {**_TEXT, "maxLength": evaluations.MAX_NAME_CHARS, "description": "What was judged."},
        "value": {"type": "number", "description": "0 to 1, or within `range`. With a label pass or fail, optional."},
        "range": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2, "example": [1, 5]},
        "label": {**_TEXT, "maxLength": evaluations.MAX_LABEL_CHARS},
        "reason": {**_TEXT, "maxLength": evaluations.MAX_REASON_CHARS},
        "version": {**_TEXT, "maxLength": evaluations.MAX_VERSION_CHARS, "default": "api"},
        "is_flagged": {"type": "boolean"},
    },
    "required": ["trace_id", "span_id", "name"],
}
SENT_SCHEMA = {"oneOf": [ITEM_SCHEMA, {"type": "array", "items": ITEM_SCHEMA, "minItems": 1, "maxItems": MAX_ITEMS}]}
_STATUS_SCHEMA = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["stored", "rejected"]},
        "error": shapes.ERROR_SCHEMA["properties"]["error"],
    },
    "required": ["status"],
}
ANSWER_SCHEMA = {
    "oneOf": [
        _STATUS_SCHEMA,
        {
            "type": "object",
            "properties": {"items": {"type": "array", "items": _STATUS_SCHEMA}, "rejected": {"type": "integer"}},
            "required": ["items", "rejected"],
        },
    ]
}


@dataclass(frozen=True, slots=True)
class Scored:
    """One score of one call. `explanation` is what a judge wrote, or why in a few words; it needs `read:content`.
    `evidence` are places of the prompt, the answer or a context, in code points."""

    trace_id: str
    span_id: str
    start_time: datetime
    scored_at: datetime
    scorer: str
    scorer_version: str
    source: str
    score: float
    threshold: float | None
    is_flagged: bool | None
    label: str
    explanation: str
    evidence: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, str]
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Spread:
    """Scores of one version of one scorer in one group and step. Intervals are at 95 %, low and high."""

    scorer: str
    scorer_version: str
    group: Mapping[str, str]
    bucket: datetime | None
    scores: int
    flagged: int
    flagged_ratio: float
    flagged_interval: tuple[float, ...]
    mean: float
    mean_interval: tuple[float, ...] | None
    p50: float | None
    p95: float | None
    histogram: tuple[int, ...]
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class LaneView:
    """`waiting_s` is how late the oldest due job is; `shed` is what is left out because of it."""

    lane: str
    open_jobs: int
    quarantined_jobs: int
    waiting_s: float | None
    shed: str


@dataclass(frozen=True, slots=True)
class QueueView:
    lanes: tuple[LaneView, ...]
    unscored: tuple[queue.Unscored, ...]


class Deed(serializers.Serializer[Any]):
    """Without a trace, all of the project's quarantined jobs."""

    do = serializers.ChoiceField(choices=["retry", "discard"])
    trace_id = serializers.RegexField(r"^[0-9a-f]{32}$", required=False)
    span_id = serializers.RegexField(r"^[0-9a-f]{16}$", required=False)
    lane = serializers.ChoiceField(choices=LANES, required=False)


class Scores(base.Resource):
    write_scopes = (Scope.WRITE_SCORES, Scope.INGEST)
    known = (
        *RANGE,
        SCORER,
        VERSION,
        TRACE,
        Parameter("label", parameters.text, "Only scores with exactly this label."),
        Parameter("source", parameters.one_of({name: name for name in SOURCES}), "Who made it.", options=SOURCES),
        Parameter("flagged", parameters.truth, "Only flagged scores (true) or the others (false).", type="boolean"),
        *FACTS,
        CURSOR,
        LIMIT,
    )

    @base.described(
        "list_scores", "Scores, those of the newest calls first", shapes.page_schema(Scored), known, tag="quality"
    )
    def get(self, request: Request) -> Response:
        values = dict(self.values)
        if trace := values.pop("trace_id", None):
            found = scores.of_trace(self.asker.project_id, trace)
            return self.answer({"items": [scored(one) for one in found], "next_cursor": None})
        start, end = parameters.time_range(values, DEFAULT_RANGE)
        cursor, limit = values.pop("cursor", None), values.pop("limit", 50)
        wanted = ScoreFilter(
            start, end, values.pop("scorer", None), values.pop("version", None), values.pop("label", None),
            values.pop("source", None), values.pop("flagged", None), values,
        )  # fmt: skip
        page = scores.newest(self.asker.project_id, wanted, cursor, limit)
        return self.answer({"items": [scored(one) for one in page.items], "next_cursor": page.next_cursor})

    @base.described(
        "send_scores", f"One score, or a list of up to {MAX_ITEMS} of which each is answered", ANSWER_SCHEMA, (),
        tag="quality", request={"application/json": SENT_SCHEMA},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Nothing of a list is lost by what is wrong with another item of it."""
        is_list = isinstance(request.data, list)
        sent: list[Any] = list(request.data) if is_list else [request.data]
        if not 1 <= len(sent) <= MAX_ITEMS:
            raise SenderError("too_many_items", f"{len(sent)} scores came; send 1 to {MAX_ITEMS} at a time.")
        answers = self._keep(sent)
        if is_list:
            refused = sum(answer["status"] == "rejected" for answer in answers)
            return Response({"items": answers, "rejected": refused})
        if (error := answers[0].get("error")) is not None:
            raise SenderError(error["code"], error["message"], 404 if error["code"] == "no_such_call" else 400)
        return Response(answers[0])

    def _keep(self, sent: list[Any]) -> list[dict[str, Any]]:
        read = [_item(one) for one in sent]
        with db.away_is_unavailable():
            items = [one for one in read if isinstance(one, Item)]
            fates = iter(outside.keep_external(self.asker.project_id, items, clock.now()))
        return [_answer(next(fates)) if isinstance(one, Item) else _rejected(one) for one in read]


def _item(sent: Any) -> Item | SenderError:
    try:
        return evaluations.of_item(sent)
    except SenderError as error:
        return error


def _answer(fate: outside.Fate) -> dict[str, Any]:
    return _rejected(_FATES[fate]) if fate in _FATES else {"status": "stored"}


def _rejected(error: SenderError) -> dict[str, Any]:
    return {"status": "rejected", "error": {"code": error.code, "message": error.message}}


class Distributions(base.Resource):
    known = (
        *RANGE,
        Parameter("step", parameters.length, "Length of a step: 1m, 5m, 1h, 1d… No step: one row per group."),
        Parameter("group_by", parameters.names, f"At most two, comma-separated, of {', '.join(GROUPS)}."),
        Parameter("scorer", parameters.names, "Only these scorers, comma-separated."),
        *FACTS,
    )

    @base.described("read_distributions", "How scores are spread", shapes.list_schema(Spread), known, tag="quality")
    def get(self, request: Request) -> Response:
        values = dict(self.values)
        start, end = parameters.time_range(values, DEFAULT_RANGE)
        query = ScoreQuery(
            start, end, values.pop("step", None), values.pop("group_by", ()), values.pop("scorer", ()), values
        )
        found = distributions(self.asker.project_id, query)
        return self.answer({"items": [spread(row) for row in found]})


class Queue(base.Resource):
    known = RANGE

    @base.described(
        "read_scoring_queue", "What waits to be scored, and what was left out", shapes.schema_of(QueueView), known,
        tag="quality",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        start, end = parameters.time_range(dict(self.values), timedelta(days=1))
        project_id = self.asker.project_id
        lanes = tuple(lane_view(lane) for lane in queue.lanes(project_id, clock.now()))
        return self.answer(QueueView(lanes, queue.unscored(project_id, start, end)))


class Quarantine(base.Resource):
    write_scopes = (Scope.ADMIN,)
    known = (CURSOR, LIMIT)

    @base.described(
        "list_quarantine", "Jobs that failed three times", shapes.page_schema(queue.Quarantined), known, tag="quality"
    )
    def get(self, request: Request) -> Response:
        values = self.values
        found = queue.quarantined(self.asker.project_id, values.get("cursor"), values.get("limit", 50))
        return self.answer(found)

    @base.described(
        "change_quarantine", "How many jobs it was done to",
        {"type": "object", "properties": {"jobs": {"type": "integer"}}, "required": ["jobs"]}, (), tag="quality",
        request=Deed,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        said = checked(Deed, request)
        does = services.retry if said["do"] == "retry" else services.discard
        return Response({"jobs": does(self.asker.project_id, _jobs_of(said))})


def _jobs_of(said: Mapping[str, Any]) -> list[services.Job] | None:
    named = [name for name in ("trace_id", "span_id", "lane") if name in said]
    if not named:
        return None
    trace = reading.trace_id_or_none(said.get("trace_id", ""))
    span = reading.span_id_or_none(said.get("span_id", ""))
    if trace is None or span is None:
        raise SenderError("bad_job", "Name a job by `trace_id` and `span_id`, or leave both out for all of them.")
    return [(trace, span, lane) for lane in ([said["lane"]] if "lane" in said else LANES)]


def scored(one: ScoreView) -> Scored:
    return Scored(
        one.trace_id, one.span_id, one.start_time, one.scored_at, one.scorer, one.scorer_version, one.source, one.score,
        one.threshold, one.is_flagged, one.label, one.reason, one.evidence, one.facts, one.input_tokens,
        one.output_tokens, one.cost_usd,
    )  # fmt: skip


def spread(row: Distribution) -> Spread:
    mean = row.mean_interval
    return Spread(
        row.scorer, row.scorer_version, row.group, row.bucket, row.scores, row.flagged, row.flagged_ratio,
        (row.flagged_interval.low, row.flagged_interval.high), row.mean, (mean.low, mean.high) if mean else None,
        row.quantile(0.5), row.quantile(0.95), row.histogram, row.cost_usd,
    )  # fmt: skip


def lane_view(lane: queue.LaneState) -> LaneView:
    waiting_s = lane.waiting.total_seconds() if lane.waiting else None
    return LaneView(lane.lane, lane.open_jobs, lane.quarantined_jobs, waiting_s, lane.shed.name.lower())
