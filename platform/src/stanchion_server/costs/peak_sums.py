"""The statements that count the peaks of minutes.

A call runs from its start up to its end, which is not in it; at least a microsecond, and for its first hour only:
what claims to take longer would have every minute of a day counted again. A minute's calls and tokens are those of the
calls that began in it, as with its seconds.
"""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from datetime import timedelta

LONGEST_CALL = timedelta(hours=1)
THROTTLED = "(^|[^0-9])429([^0-9]|$)|rate.?limit|throttl|too.?many.?requests|resource.?exhausted"
"""What the error type of a call that was refused for its rate looks like."""

_LONGEST_US = LONGEST_CALL // timedelta(microseconds=1)
_LARGEST = 9_000_000_000_000_000_000
_ENDED = f"c.start_time + least(greatest(c.duration_ns / 1000, 1), {_LONGEST_US}) * interval '1 microsecond'"
_CALLS = """unnest(%({minutes})s::timestamptz[]) AS wanted(minute) JOIN llm_calls c
    ON c.project_id = %(project_id)s AND c.start_time >= minute AND c.start_time < minute + interval '1 minute'
    AND c.start_time >= %(first)s AND c.start_time < %(last)s"""
_EARLIEST_OF_LARGEST = "max(ARRAY[{0}::float8, -extract(epoch FROM at)::float8]) FILTER (WHERE {0} IS NOT NULL)"


def _total(expression: str) -> str:
    """Sums stay inside bigint whatever clients claim."""
    return f"greatest(0, least(sum({expression}), {_LARGEST}))::bigint"


def _known(column: str) -> str:
    """None where no call of the minute told its tokens; where one did, those of the others count as none."""
    return f"CASE WHEN bool_or(tokens IS NOT NULL) THEN {_total(f'coalesce({column}, 0)')} END"


def _split(name: str) -> str:
    number = f"CASE WHEN {name} IS NOT NULL THEN least({name}[1], {_LARGEST})::bigint END"
    return f"{number}, to_timestamp(-{name}[2])"


ENDS = f"SELECT minute, max({_ENDED}) FROM {_CALLS.format(minutes='minutes')} GROUP BY 1"
"""Of every minute with calls, the end of the one that ended last."""

DELETE = """DELETE FROM costs_callpeak WHERE project_id = %(project_id)s AND rate_limit_id = ANY (%(ids)s::bigint[])
    AND minute = ANY (%(minutes)s::timestamptz[])"""

INSERT = f"""
WITH calls AS MATERIALIZED (
    SELECT w.id, wanted.minute AS own, c.start_time AS began, {_ENDED} AS ended, c.input_tokens, c.output_tokens,
        CASE WHEN c.input_tokens IS NOT NULL OR c.output_tokens IS NOT NULL
            THEN coalesce(c.input_tokens, 0)::float8 + coalesce(c.output_tokens, 0) END AS tokens,
        c.status = 2 AND c.error_type ~* '{THROTTLED}' AS is_refused
    FROM {_CALLS.format(minutes="read")}
    JOIN unnest(%(ids)s::bigint[], %(providers)s::text[], %(models)s::text[]) AS w(id, provider, model)
        ON c.provider = w.provider AND (w.model = '' OR c.model = w.model)
    WHERE c.charge = 0
), sums AS (
    SELECT id, own AS minute, count(*) AS calls, count(*) FILTER (WHERE is_refused) AS refused_calls,
        {_known("input_tokens")} AS input_tokens, {_known("output_tokens")} AS output_tokens
    FROM calls WHERE own = ANY (%(minutes)s::timestamptz[]) GROUP BY 1, 2
), seconds AS (
    SELECT id, minute, {_EARLIEST_OF_LARGEST.format("calls")} AS calls,
        {_EARLIEST_OF_LARGEST.format("tokens")} AS tokens
    FROM (SELECT id, own AS minute, date_trunc('second', began) AS at, count(*) AS calls, sum(tokens) AS tokens
        FROM calls WHERE own = ANY (%(minutes)s::timestamptz[]) GROUP BY 1, 2, 3) each_second
    GROUP BY 1, 2
), running AS (
    SELECT id, minute, began, ended FROM calls,
        generate_series(own, ended - interval '1 microsecond', interval '1 minute') AS minute
    WHERE minute = ANY (%(minutes)s::timestamptz[])
), at_a_time AS (
    SELECT id, minute, {_EARLIEST_OF_LARGEST.format("calls")} AS calls FROM (
        SELECT id, minute, at, sum(step) OVER (PARTITION BY id, minute ORDER BY at, step ROWS UNBOUNDED PRECEDING)
            AS calls
        FROM (SELECT id, minute, greatest(began, minute) AS at, 1 AS step FROM running
            UNION ALL SELECT id, minute, ended, -1 FROM running WHERE ended < minute + interval '1 minute') events
    ) levels GROUP BY 1, 2
)
INSERT INTO costs_callpeak (project_id, rate_limit_id, minute, calls, refused_calls, input_tokens, output_tokens,
    second_calls, second_calls_at, second_tokens, second_tokens_at, running_calls, running_calls_at)
SELECT %(project_id)s, id, minute, coalesce(sums.calls, 0), coalesce(refused_calls, 0), input_tokens, output_tokens,
    {_split("seconds.calls")}, {_split("seconds.tokens")}, {_split("at_a_time.calls")}
FROM at_a_time LEFT JOIN sums USING (id, minute) LEFT JOIN seconds USING (id, minute)
"""
