"""A guard's decision survives the wire, and hostile attributes never raise."""

from hypothesis import given
from hypothesis import strategies as st

from stanchion_wire.decisions import ACTIONS, PREFIX, Decision, from_attributes, to_attributes

DECISION = Decision(
    check_id="c1", policy="default", policy_version="3", mode="shadow", source="sdk", stage="input", action="block",
    characters=41, guarded_characters=40, is_complete=False, elapsed_us=312, text_digest=-5,
    rules=("pii",), labels=("EMAIL",),
    findings=({"detector": "pii", "label": "EMAIL", "score": 1.0, "part": 0, "start": 3, "end": 9, "reason": "shape"},),
    checks=({"rule": "pii", "outcome": "ran", "score": 1.0, "elapsed_us": 20},),
    not_run=(("judge", "late"),), limits=(("toxic", "language de not covered"),),
)  # fmt: skip

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from([*to_attributes(DECISION), "other"])


def test_a_decision_comes_back_as_it_was_sent():
    assert from_attributes(to_attributes(DECISION)) == DECISION


def test_a_decision_without_a_digest_comes_back_without_one():
    sent = to_attributes(Decision(**{**DECISION.__dict__, "text_digest": None}))
    found = from_attributes(sent)
    assert found is not None and found.text_digest is None


def test_a_span_that_tells_of_no_policy_is_no_decision():
    assert from_attributes({"http.method": "GET"}) is None


def test_an_action_nobody_knows_is_no_decision():
    assert from_attributes({**to_attributes(DECISION), PREFIX + "action": "explode"}) is None


def test_lists_are_bounded_and_the_cut_is_told():
    many = Decision(**{**DECISION.__dict__, "findings": DECISION.findings * 250})
    sent = to_attributes(many)
    found = from_attributes(sent)
    assert found is not None and len(found.findings) == 100
    assert '"omitted_findings":150' in sent[PREFIX + "detail"]


def test_a_sender_that_knows_of_no_limits_tells_none_and_many_or_long_ones_are_cut():
    detail = '{"not_run": [["judge", "late"]]}'
    told = {PREFIX + "policy": "p", PREFIX + "action": "allow"}
    found = from_attributes({**told, PREFIX + "detail": detail})
    assert found is not None and found.limits == ()
    rows = [["r" * 999, "language de not covered"], ["alone"], "no pair at all", [1, None], *[["a\0", "b"]] * 200]
    found = from_attributes({**told, PREFIX + "detail": {"limits": rows}})
    assert found is not None and len(found.limits) <= 100
    assert found.limits[0] == ("r" * 200, "language de not covered") and found.limits[-1] == ("a\ufffd", "b")


@given(st.dictionaries(keys, anything), st.sampled_from(ACTIONS))
def test_hostile_attributes_never_raise(attributes, action):
    found = from_attributes({**attributes, PREFIX + "policy": "p", PREFIX + "action": action})
    assert found is not None and found.action == action
    assert from_attributes(attributes) is None or attributes[PREFIX + "policy"]


def test_what_no_database_stores_is_left_out_or_replaced():
    detail = '{"findings": [{"label": "a\\u0000b\\ud800", "score": 1e999, "part": 99999999999999999999, "deep": [1]}]}'
    found = from_attributes({PREFIX + "policy": "p", PREFIX + "action": "flag", PREFIX + "detail": detail})
    assert found is not None and found.findings == ({"label": "a\ufffdb?"},)
