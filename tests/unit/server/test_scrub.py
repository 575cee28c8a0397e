from __future__ import annotations

import json

from stanchion_server.ingest import decode, scrub
from stanchion_server.ingest.records import Alteration, Decoded

NOW_NS = 1_764_000_000_000_000_000
KEY = "sk-proj-" + "A1b2" * 10


def decoded(*, name: str, link: str, command: str) -> Decoded:
    def attribute(key: str, value: str) -> dict[str, object]:
        return {"key": key, "value": {"stringValue": value}}

    span = {
        "traceId": "1" * 32, "spanId": "2" * 16, "name": name, "startTimeUnixNano": str(NOW_NS),
        "endTimeUnixNano": str(NOW_NS + 1),
        "links": [{"traceId": "3" * 32, "spanId": "4" * 16, "attributes": [attribute("from", link)]}],
    }  # fmt: skip
    spans = [span, {**span, "spanId": "5" * 16}]
    resource = {"attributes": [attribute("process.command_args", command)]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    return decode.decode_traces(json.dumps(body).encode(), "json", NOW_NS, decode.Limits())


def test_a_credential_is_masked_in_names_links_and_resources_too() -> None:
    before = decoded(name=f"call {KEY}", link=KEY, command=f"run --key {KEY}")
    after = scrub.mask_secrets(before)
    assert KEY in repr(before)
    assert KEY not in repr(after)
    assert all(span.alterations & Alteration.SECRET_MASKED for span in after.spans)
    assert len({id(span.resource) for span in after.spans}) == 1
    assert after.spans[0].resource.resource_id == before.spans[0].resource.resource_id


def test_what_holds_no_credential_is_left_as_it_is() -> None:
    before = decoded(name="call", link="the task-force", command="run --port 8000")
    assert all(new is old for new, old in zip(scrub.mask_secrets(before).spans, before.spans, strict=True))
