"""Frozen dataclasses that are made four times as fast: a check makes dozens of them."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from sysconfig import get_config_var
from typing import Any, TypeVar

T = TypeVar("T")


def quickly_made(cls: type[T]) -> type[T]:
    """For a frozen dataclass with slots and neither `__post_init__` nor subclasses: gives it another `__init__`.

    The one that `dataclass` writes goes around the frozen `__setattr__` once for each field. This one fills the slots
    of a twin that is not frozen and then turns the twin into what was asked for: twice a change of class, whatever the
    number of fields. Where no class can be changed so, or only with all threads at a halt, `cls` is left as it is.
    """
    if get_config_var("Py_GIL_DISABLED"):
        return cls
    own = fields(cls)  # type: ignore[arg-type]
    twin: Any = type(f"{cls.__name__}InTheMaking", (), {"__slots__": tuple(each.name for each in own)})
    try:
        object.__setattr__(object.__new__(cls), "__class__", twin)
    except TypeError:
        return cls
    scope: dict[str, Any] = {"put": object.__setattr__, "Twin": twin, "Made": cls, "MISSING": MISSING}
    scope |= {f"default_{each.name}": _default(each) for each in own}
    stores = (f" self.{each.name} = {_value(each)}\n" for each in own)
    told = ", ".join(_parameter(each) for each in own)
    written = f"def __init__(self, {told}):\n put(self, '__class__', Twin)\n{''.join(stores)} self.__class__ = Made\n"
    exec(written, scope)  # noqa: S102 - of the class's own names, as `dataclass` does it
    made = scope["__init__"]
    made.__qualname__, made.__annotations__ = f"{cls.__qualname__}.__init__", cls.__init__.__annotations__
    changed: Any = cls
    changed.__init__ = made
    return cls


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory


def _parameter(each: Field[Any]) -> str:
    if each.default is not MISSING:
        return f"{each.name}=default_{each.name}"
    return each.name if each.default_factory is MISSING else f"{each.name}=MISSING"


def _value(each: Field[Any]) -> str:
    if each.default_factory is MISSING:
        return each.name
    return f"default_{each.name}() if {each.name} is MISSING else {each.name}"
