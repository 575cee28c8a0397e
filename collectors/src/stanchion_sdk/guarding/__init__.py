"""A policy of the server, or one of the application's own, judging in this process."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .guards import AppGuard


def guard(
    name: str | None = None,
    *,
    policy: str | PathLike[str] | Mapping[str, Any] | None = None,
    when_unavailable: Literal["allow", "block"] = "allow",
) -> AppGuard:
    """The policy `name` of the server, pulled at the first check and every ten seconds after it, or a `policy` of the
    application's own: the path of a file, or its data.

    `when_unavailable` decides while neither the server nor the disk has ever given the named policy; the verdict's
    coverage then says that nothing ran. Raises ImportError without stanchion-guard, PolicyError for a wrong `policy`.
    """
    if (name is None) == (policy is None):
        raise ValueError("give either the name of a policy or `policy`")
    if when_unavailable not in ("allow", "block"):
        raise ValueError('`when_unavailable` is "allow" or "block"')
    if find_spec("stanchion_guard") is None:
        raise ImportError("stanchion_sdk.guard needs stanchion-guard: pip install 'stanchion-sdk[guard]'")
    from .guards import AppGuard, local, pulled

    source = local(policy) if policy is not None else pulled(str(name))
    return AppGuard(source, name or "", when_unavailable)
