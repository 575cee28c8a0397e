"""The convention radar: how well each client's vocabulary is understood, so that a rename is seen and not suffered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime

from stanchion_server.traces.selectors import contents, reading
from stanchion_server.traces.selectors.shapes import FacetValue, RadarClient

MAX_KEYS = 100

# Renamed or dropped by the OTel GenAI conventions, generations 0 and 1 (semantic-conventions changelog, 1.27 to 1.37).
DEPRECATED_KEYS = frozenset({
    "gen_ai.system", "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens", "gen_ai.prompt",
    "gen_ai.completion", "gen_ai.openai.request.seed", "gen_ai.openai.request.response_format",
    "gen_ai.openai.request.service_tier", "gen_ai.openai.response.service_tier",
    "gen_ai.event.content", "gen_ai.user.message", "gen_ai.system.message", "gen_ai.assistant.message",
    "gen_ai.tool.message", "gen_ai.choice", "llm.request.type", "llm.vendor", "llm.request.model",
    "llm.response.model", "llm.request.max_tokens", "llm.temperature", "llm.top_p", "llm.usage.prompt_tokens",
    "llm.usage.completion_tokens", "llm.usage.total_tokens",
})  # fmt: skip

SQL = """
    SELECT m.dialect, m.scope_name, m.scope_version, m.winners::text, m.unmapped, c.calls, c.last_seen_at,
           c.without_model, c.without_tokens, c.without_price
    FROM (
        SELECT mapping_id, count(*) AS calls, max(start_time) AS last_seen_at,
            count(*) FILTER (WHERE model = '' AND coalesce(input_tokens, output_tokens) IS NOT NULL) AS without_model,
            count(*) FILTER (WHERE input_tokens IS NULL AND output_tokens IS NULL AND status <> 2) AS without_tokens,
            count(*) FILTER (
                WHERE cost_usd IS NULL AND (status <> 2 OR coalesce(input_tokens, output_tokens) IS NOT NULL)
            ) AS without_price
        FROM llm_calls WHERE project_id = %s AND start_time >= %s GROUP BY mapping_id
    ) c JOIN key_mappings m ON m.project_id = %s AND m.mapping_id = c.mapping_id
    ORDER BY c.calls DESC LIMIT 2000"""


def radar(project_id: int, since: datetime) -> tuple[RadarClient, ...]:
    """One entry per dialect, instrumentation and version that sent calls since then, the busiest first. Counts every
    record, also those that are not charged; a call that failed without usage lacks nothing; keys carry the number of
    records that had them."""
    with reading.bounded():
        found = reading.rows(SQL, (project_id, since, project_id))
    by_client: dict[tuple[str, str, str], list[reading.Row]] = defaultdict(list)
    for row in found:
        by_client[row[0], row[1], row[2]].append(row)
    clients = [_client(key, rows) for key, rows in by_client.items()]
    return tuple(sorted(clients, key=lambda client: (-client.calls, client.scope_name, client.scope_version)))


def _client(key: tuple[str, str, str], rows: list[reading.Row]) -> RadarClient:
    calls = sum(row[5] for row in rows)
    unmapped: Counter[str] = Counter()
    deprecated: Counter[str] = Counter()
    for row in rows:
        unmapped.update(dict.fromkeys(row[4], row[5]))
        won = {str(name) for name in contents.json_object(row[3]).values()}
        deprecated.update(dict.fromkeys(won & DEPRECATED_KEYS, row[5]))
    return RadarClient(
        *key,
        calls=calls,
        last_seen_at=max(row[6] for row in rows),
        without_model_ratio=sum(row[7] for row in rows) / calls,
        without_tokens_ratio=sum(row[8] for row in rows) / calls,
        without_price_ratio=sum(row[9] for row in rows) / calls,
        unmapped_keys=_counted(unmapped.items()),
        deprecated_keys=_counted(deprecated.items()),
    )


def _counted(items: Iterable[tuple[str, int]]) -> tuple[FacetValue, ...]:
    ranked = sorted(items, key=lambda item: (-item[1], item[0]))
    return tuple(FacetValue(name, count) for name, count in ranked[:MAX_KEYS])
