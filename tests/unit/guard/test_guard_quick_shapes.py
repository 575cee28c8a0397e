"""A frozen dataclass that is made faster is the same dataclass."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from stanchion_guard import quick_shapes
from stanchion_guard.identifiers.rules import Span
from stanchion_guard.quick_shapes import quickly_made
from stanchion_guard.records import Check, Coverage, Detection, Finding, Part, Redaction, Subject, Verdict


@dataclass(frozen=True, slots=True)
class Plain:
    name: str
    score: float | None = None
    extra: Mapping[str, int] = field(default_factory=dict)


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick:
    name: str
    score: float | None = None
    extra: Mapping[str, int] = field(default_factory=dict)


@pytest.mark.parametrize("shape", [Check, Coverage, Detection, Finding, Part, Redaction, Span, Subject, Verdict])
def test_every_quick_shape_takes_its_fields_in_order_and_keeps_them(shape: Any) -> None:
    values = [f"value {number}" for number in range(len(fields(shape)))]
    made = shape(*values)
    assert type(made) is shape
    assert [getattr(made, each.name) for each in fields(shape)] == values
    assert made == shape(**{each.name: value for each, value in zip(fields(shape), values, strict=True)})
    assert made != shape(*values[:-1], "another")


def test_defaults_are_those_of_the_class_and_a_made_one_is_each_objects_own() -> None:
    one, other = Quick("a"), Quick("a")
    assert (one.score, one.extra) == (None, {})
    assert one.extra is not other.extra
    assert Quick("a", extra={"b": 1}).extra == {"b": 1}


def test_it_is_frozen_and_compares_copies_and_prints_as_before() -> None:
    made = Quick("a", 0.5)
    with pytest.raises(FrozenInstanceError):
        made.name = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        object.__setattr__(made, "unknown", 1)
    assert repr(made) == repr(Plain("a", 0.5)).replace("Plain", "Quick")
    assert hash(Finding("d", "l", 0.5, 0, 1, 2, "r")) == hash(Finding("d", "l", 0.5, 0, 1, 2, "r"))
    assert replace(made, score=0.75) == Quick("a", 0.75)
    assert copy.deepcopy(made) == made
    assert pickle.loads(pickle.dumps(made)) == made


def test_wrong_arguments_are_refused() -> None:
    for wrong in ((), ("a", 1, {}, "too many")):
        with pytest.raises(TypeError):
            Quick(*wrong)
    with pytest.raises(TypeError):
        Quick("a", unknown=1)  # type: ignore[call-arg]


def test_where_no_class_can_be_changed_the_dataclass_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_shapes, "get_config_var", {"Py_GIL_DISABLED": 1}.get)
    before = Plain.__init__
    assert quickly_made(Plain) is Plain
    assert Plain.__init__ is before


def test_the_signature_is_readable() -> None:
    assert list(inspect.signature(Quick).parameters) == ["name", "score", "extra"]
