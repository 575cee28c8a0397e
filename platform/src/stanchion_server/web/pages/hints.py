"""What each rejection reason and alteration means, and what its sender can do about it."""

from __future__ import annotations

from collections.abc import Mapping

HINTS: Mapping[str, str] = {
    "invalid_trace_id": "Trace ids are 16 bytes and not all zero. Let the OpenTelemetry SDK make them.",
    "invalid_span_id": "Span ids are 8 bytes and not all zero. Let the OpenTelemetry SDK make them.",
    "invalid_ids": "Ids must have their full length and not be all zero. Let the OpenTelemetry SDK make them.",
    "missing_ids": "The item carries no trace or span id. Let the OpenTelemetry SDK make them.",
    "too_old": "The item started before the project's acceptance window. Check the sender's clock and its retry queue.",
    "too_far_in_future": "The item claims to be from the future. Synchronise the sender's clock (NTP).",
    "too_many_items": "One request held too many items. Lower the exporter's batch size (max_export_batch_size).",
    "undecodable": "The body is neither OTLP protobuf nor OTLP JSON. Check protocol and content type.",
    "wrong_signal": "Wrong address: traces go to /v1/traces, logs to /v1/logs, metrics to /v1/metrics.",
    "corrupt_body": "The compressed body does not unpack. Check proxies between the sender and this server.",
    "truncated_body": "The body ended early. Check proxies and time-outs between the sender and this server.",
    "unreadable_body": "The connection closed in the middle of the body. Check proxies, and the sender's time-out.",
    "too_many_members": "The compressed body holds too many streams. Send one compressed stream a request.",
    "compression_ratio": "The body unpacks to far more than telemetry does. Send smaller batches.",
    "unsupported_encoding": "The compression is not one we read. Set the exporter's to gzip, deflate, or none.",
    "unsupported_media_type": "The content type is not OTLP. Use application/x-protobuf or application/json.",
    "too_large": "The request is larger than the door allows. Lower the exporter's batch size.",
    "quota": "The project's daily quota is used up. Raise it, or sample at the sender.",
    "no_target": "A rating needs a trace_id, a trace_id and span_id, or a session_id. Rate inside a span, or pass one.",
    "empty_rating": "A rating needs a score, label, comment or correction.",
    "bad_score": "Scores lie between 0 (worst) and 1 (best). Scale them at the sender.",
    "bad_time": "The rating's time_ns is not in nanoseconds, older than what is kept, or ahead of our clock.",
    "id_taken": "The id belongs to another rating. Use one id per rating, and a later time_ns to change one.",
    "overload": "The server was busy and asked the sender to come again; exporters do so by themselves.",
    "decision_dropped": "Guard checks were judged, but the database was away for too long to keep their decisions.",
    "decision_unwritable": "The database refused these guard decisions. The server's log names the error.",
    "invalid_utf8": "Bytes that are no UTF-8 were replaced by �. Encode texts before setting attributes.",
    "nul_replaced": "NUL characters cannot be stored and were replaced by �.",
    "surrogate_replaced": "Half of a character pair was replaced by �. Cut texts by characters, not by UTF-16 units.",
    "number_dropped": "A number was NaN, infinite or beyond 64 bits, and was left out.",
    "nesting_cut": "A value was nested deeper than 16 levels and was cut there.",
    "value_truncated": "A value was longer than what is kept and was cut; texts in messages have a higher limit.",
    "negative_duration": "The span ended before it started; its duration is shown as 0. Use one clock for both times.",
    "clock_skew": "The sender's clock differs from ours. Synchronise it (NTP); times are shown as sent.",
    "secret_masked": "A key or token stood in the item and was masked before it was stored. Rotate it at its issuer.",
    "tokens_corrected": "Token counts contradicted each other and were made consistent.",
}


def hint_for(name: str) -> str:
    return HINTS.get(name, "See the recent refusals below for what the server said.")
