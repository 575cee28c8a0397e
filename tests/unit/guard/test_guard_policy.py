from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kit.guard_fakes import FAKES, find, policy
from stanchion_guard import Guard, PolicyError, load, named
from stanchion_guard.policy import BUILT_IN, schema
from stanchion_guard.policy_tests import run

GOOD = """\
policy: shop
version: 3
deadline_ms: 50
defaults: {when_late: flag, when_failed: block}
rules:
  - id: mail
    stages: [input, output]
    detector: find
    parameters: {pattern: '\\w+@\\w+', label: email}
    thresholds: {language: {no: 0.95}}
    action: redact
tests:
  - name: an address is masked
    stage: input
    text: to a@b
    expect: {action: redact, labels: [email], rules: [mail], text: "to [EMAIL]"}
"""


def problems(text: str | dict[str, Any]) -> list[tuple[int | None, int | None, str, str]]:
    with pytest.raises(PolicyError) as caught:
        load(text, FAKES)
    return [(each.line, each.column, each.where, each.text) for each in caught.value.problems]


def changed(old: str, new: str) -> list[tuple[int | None, int | None, str, str]]:
    assert old in GOOD
    return problems(GOOD.replace(old, new))


def test_a_policy_in_yaml_json_and_as_data_is_the_same_policy() -> None:
    one = load(GOOD, FAKES)
    assert (one.name, one.version, len(one.rules), one.rules[0].when_failed) == ("shop", "3", 1, "block")
    for other in (one.as_json(), json.dumps(one.as_json()), json.dumps(one.as_json(), indent="\t"), GOOD.encode()):
        assert load(other, FAKES).content_hash == one.content_hash
    assert load(GOOD.replace("0.95", "0.9"), FAKES).content_hash != one.content_hash


def test_norwegian_is_a_language_and_not_a_truth_value() -> None:
    made = Guard(load(GOOD, FAKES))
    assert [made.check("a@b", language=code).action for code in ("no", "en")] == ["allow", "redact"]


def test_json_with_characters_in_two_halves_is_read() -> None:
    data = policy(find("x"), description="\U0001f600")
    assert load(json.dumps(data), FAKES).description == "\U0001f600"


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "where", "said"),
    [
        ("action: redact\ntests", "action: mask\ntests", 11, 13, "rules[0].action", "must be one of allow, flag"),
        ("detector: find", "detector: fnid", 8, 15, "rules[0].detector", "did you mean 'find'?"),
        ("thresholds:", "treshold:", 10, 5, "rules[0].treshold", "did you mean 'threshold'?"),
        ("pattern: ", "patern: ", 9, 18, "rules[0].parameters.patern", "did you mean 'pattern'?"),
        ("version: 3", "version: 3\nversion: 4", 3, 1, "version", "a second time"),
        ("'\\w+@\\w+'", "'('", 9, 17, "rules[0].parameters", "find:"),
        ("0.95", "1.5", 10, 33, "rules[0].thresholds.language.no", "at most 1"),
        ("rules: [mail]", "rules: [post]", 16, 55, "tests[0].expect.rules[0]", "no rule 'post'"),
        ("when_late: flag, ", "", 6, 5, "rules[0]", "'when_late' is missing"),
        ("[input, output]", "[input, outputs]", 7, 21, "rules[0].stages[1]", "did you mean 'output'?"),
        ("deadline_ms: 50", "deadline_ms: &a 50", 3, 14, "deadline_ms", "anchors (&name) are not read"),
        ("deadline_ms: 50", "deadline_ms: !!int 50", 3, 14, "deadline_ms", "tags"),
        ("stage: input", "stages: input", 14, 5, "tests[0].stages", "did you mean 'stage'?"),
    ],
)
def test_a_mistake_is_told_with_its_line_column_and_remedy(
    old: str, new: str, line: int, column: int, where: str, said: str
) -> None:
    found = changed(old, new)
    assert any(each[:3] == (line, column, where) and said in each[3] for each in found), found


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text() -> None:
    found = problems(
        GOOD.replace("deadline_ms: 50", "deadline_ms: soon").replace("action: redact\ntests", "action: x\ntests")
    )
    assert [each[0] for each in found] == [3, 11]
    found = problems(GOOD.replace("when_late: flag, ", "").replace("detector: find", "detector: none"))
    assert [each[2] for each in found] == ["rules[0]", "rules[0].detector"]


def test_a_wrong_structure_hides_no_other_mistake() -> None:
    """In the same rule, in the rules beside it, and in the tests."""
    text = (
        GOOD.replace("when_late: flag, ", "").replace("detector: find", "detector: fnid").replace("[input", "[inputt")
    )
    found = problems(text.replace("rules: [mail]", "rules: [post]").replace("version: 3", "version: [3]"))
    assert [each[2] for each in found] == [
        "version", "rules[0]", "rules[0].stages[0]", "rules[0].detector", "tests[0].expect.rules[0]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rules",
    [
        "5",
        "[5, [], null]",
        "[{id: [], detector: {}, parameters: []}]",
        "{id: 5}",
        "[{}]",
        "[{detector: pattern, parameters: {}}]",
    ],
)
def test_rules_that_are_none_are_told_and_break_nothing(rules: str) -> None:
    assert problems(f"policy: x\nversion: 1\ndefaults: [{rules}]\nrules: {rules}\ntests: {rules}\nsize: {rules}\n")


def test_every_pattern_that_is_none_is_told_on_its_own_line() -> None:
    found = problems("""\
policy: multi
version: 1
defaults: {when_late: flag, when_failed: flag}
rules:
  - id: order
    stages: [input]
    detector: pattern
    parameters:
      patterns:
        - {name: one, regex: 'AB'}
        - {name: two, regex: '(?=x)y'}
        - name: three
          regex: '(a'
    action: redact
""")
    assert [(line, where) for line, _, where, _ in found] == [
        (11, "rules[0].parameters.patterns[1].regex"), (13, "rules[0].parameters.patterns[2].regex"),
    ]  # fmt: skip


def test_a_test_that_expects_a_label_no_rule_finds_is_a_mistake() -> None:
    rule = "{id: pii, stages: [input], detector: pii, action: redact}"
    case = "{name: a, stage: input, text: x, expect: {action: redact, labels: [EMIAL]}}"
    head = "policy: x\nversion: 1\ndefaults: {when_late: flag, when_failed: flag}\n"
    [found] = load(f"{head}rules: [{rule}]\ntests: [{case}]\n").dead
    assert (found.where, found.text) == ("tests[0].expect.labels[0]", "no rule finds 'EMIAL'; did you mean 'EMAIL'?")
    told = problems(f"{head}rules: [{rule}]\ntests: [{case}]\nsize: 5\n")
    assert [each[2] for each in told] == ["tests[0].expect.labels[0]", "size"]


def test_a_text_that_is_no_yaml_is_told_with_its_line() -> None:
    assert problems("policy: a\nrules: [\n  - x: {\n")[0][0] in (3, 4)
    assert problems("policy: a\n\trules: []")[0][0] == 2
    assert problems("just a text")[0][3].startswith("a policy is a mapping")
    assert problems("")[0][3].startswith("a policy is a mapping")
    assert problems("policy: a\n--- \npolicy: b")[0][3].startswith("one text holds one policy")


def test_half_a_character_is_told_with_its_place() -> None:
    with pytest.raises(PolicyError, match=r"^line 2, column 10: half of a pair"):
        load('version: 1\npolicy: "\ud800"')


def test_of_thousands_of_mistakes_the_first_are_spelt_out() -> None:
    with pytest.raises(PolicyError) as raised:
        load("a: 1\n" * 5_000)
    assert len(raised.value.problems) > 5_000
    assert str(raised.value).count("\n") == 100 and str(raised.value).endswith("problems more")


def test_aliases_and_depth_and_size_are_bounded() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    assert any("aliases" in each[3] for each in problems(bomb))
    assert "nested deeper" in problems("policy: " + "[" * 100 + "]" * 100)[0][3]
    assert "at most" in problems("x" * 4_000_001)[0][3]
    assert "more than 200,000 values" in problems("policy: [" + "1," * 200_001 + "]")[0][3]


def test_data_without_a_text_is_told_by_path() -> None:
    found = problems(policy(find("x", action="mask")))
    assert found[0][:3] == (None, None, "rules[0].action")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([find("a", id="x"), find("b", id="x")], "stands above already"),
        ([find("a", after="z", when=[0, 1])], "no rule 'z' stands above"),
        ([find("a"), find("b", after="r0")], "belong together"),
        ([find("a"), find("b", after="r0", when=[0.8, 0.2])], "must not be larger"),
        ([find("a", action="fallback")], "'message' is missing"),
        ([find("a", labels=["nose"])], "has no label 'nose'"),
        ([{"detector": "heavy_score"}], "state `deadline_ms`"),
    ],
)
def test_what_a_schema_cannot_say_is_checked_too(rules: list[dict[str, Any]], said: str) -> None:
    assert any(said in each[3] for each in problems(policy(*rules)))


def test_rules_that_look_at_nothing_are_told_and_stop_nothing_else() -> None:
    text = GOOD.replace("    action: redact\n", "    action: redact\n    roles: [usr, assistant, agent]\n")
    (dead,) = load(text, FAKES).dead
    assert (dead.line, dead.column, dead.where) == (12, 13, "rules[0].roles[0]")
    assert "did you mean 'user'?" in dead.text
    dead_stage = {"detector": "tool_allow_list", "parameters": {"allow": []}, "stages": ["tool_call", "input"]}
    assert [one.where for one in load(policy(dead_stage)).dead] == ["rules[0].stages[1]"]
    assert load(GOOD, FAKES).dead == ()


def test_the_published_schema_is_a_schema_and_agrees_with_the_reader() -> None:
    Draft202012Validator.check_schema(schema())
    published = Draft202012Validator(schema())
    for name in BUILT_IN:
        published.validate(named(name).as_json())
    assert not published.is_valid({"policy": "x", "version": "1", "rules": []})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_any_text_is_a_policy_or_a_list_of_problems(text: str) -> None:
    try:
        load(text, FAKES)
    except PolicyError as error:
        assert error.problems


def test_a_policys_own_tests_pass_or_say_what_differs() -> None:
    (passed,) = run(Guard(load(GOOD, FAKES)))
    assert passed.passed
    (failed,) = run(Guard(load(GOOD.replace("labels: [email]", "labels: []").replace("[EMAIL]", "[MAIL]"), FAKES)))
    assert [(each.what, each.expected, each.got) for each in failed.differences] == [
        ("labels", "none", "email"),
        ("text", "to [MAIL]", "to [EMAIL]"),
    ]
    assert failed.case.line == 13


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_tests_of_a_built_in_policy_pass_where_its_detectors_are_installed(name: str) -> None:
    made = named(name)
    if made.unavailable:
        pytest.skip(f"not installed: {made.unavailable}")
    assert [result.case.name for result in run(Guard(made)) if not result.passed] == []


def test_observe_never_changes_or_stops_a_text() -> None:
    assert {rule.action for rule in named("observe").rules} == {"flag"}


@pytest.mark.parametrize(("name", "action"), [("default", "redact"), ("strict", "block")])
def test_where_the_time_is_up_with_the_first_check_a_key_is_masked_or_nothing_passes(name: str, action: str) -> None:
    ticks = iter(range(0, 10**15, 30_000_000))  # the deadline passes in the first check
    verdict = Guard(named(name), clock=lambda: next(ticks)).check("AKIAQWERTYUIOPASDFGH of ann.lee@example.org")
    assert verdict.action == action
    assert {check.outcome for check in verdict.checks} == {"late"}
    if name == "default":
        assert "AKIA" not in verdict.texts[0] and "ann.lee@example.org" in verdict.texts[0]
