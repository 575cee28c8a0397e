"""Prometheus text, line by line, beside the reference parser."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from stanchion_gpu import exposition
from stanchion_gpu.exposition import Series


def parsed(text: str) -> tuple[list[Series], int]:
    return exposition.parse(text, lambda _line: True, most=1000)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a 1", Series("a", {}, 1)),
        ("a{} 1.5", Series("a", {}, 1.5)),
        ('a{b="c",} 1e3', Series("a", {"b": "c"}, 1000)),
        ('a{b="c"} 1 1395066363000', Series("a", {"b": "c"}, 1)),
        ('a{b="}{,=",c="\\"\\\\\\n"} +Inf', Series("a", {"b": "}{,=", "c": '"\\\n'}, math.inf)),
        ('a:b_bucket{le="0.1"} 7 # {trace_id="x"} 0.05 1620000000.0', Series("a:b_bucket", {"le": "0.1"}, 7)),
        ("a 2\r", Series("a", {}, 2)),
    ],
)
def test_lines_of_the_format_are_read(line: str, expected: Series) -> None:
    assert parsed(line) == ([expected], 0)


@pytest.mark.parametrize(
    "line", ["a", "a{", 'a{b="c} 1', "a{b=c} 1", "1a 1", "a one", 'a{b="c" d="e"} 1', "a 1 2 3", "a{} " + "1" * 20000]
)
def test_a_line_that_is_none_is_counted_and_costs_no_other(line: str) -> None:
    assert parsed(f"before 1\n{line}\nafter 2\n") == ([Series("before", {}, 1), Series("after", {}, 2)], 1)


label_values = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.sampled_from(
    ['"', "\\", "\n", "}"]
)


@given(
    st.from_regex(r"[a-z_:][a-z0-9_:]{0,12}", fullmatch=True),
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), label_values, max_size=4),
    st.floats(allow_nan=False),
)
def test_the_reference_parser_reads_the_same(name: str, labels: dict[str, str], value: float) -> None:
    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    line = name + "{" + ",".join(f'{key}="{quoted(one)}"' for key, one in labels.items()) + f"}} {value!r}\n"
    (family,) = text_string_to_metric_families(line)
    (theirs,) = family.samples
    assert parsed(line) == ([Series(theirs.name, dict(theirs.labels), theirs.value)], 0)
    assert theirs.labels == labels


@given(st.text(max_size=400))
def test_no_text_hurts(text: str) -> None:
    found, unread = parsed(text)
    assert len(found) + unread <= text.count("\n") + 1


def test_only_so_many_series_are_read_and_the_rest_is_told() -> None:
    found, unread = exposition.parse("a 1\n" * 5, lambda _line: True, most=3)
    assert (len(found), unread) == (3, 2)
