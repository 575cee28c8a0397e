"""A policy of the server, or one of the application's own, judging what an application says and hears."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from .blocking import Blocked

if TYPE_CHECKING:
    from .guards import AppGuard

__all__ = ["Blocked", "guard"]


def guard(
    name: str | None = None,
    *,
    policy: str | PathLike[str] | Mapping[str, Any] | None = None,
    remote: Literal["always", "without-engine"] | None = None,
    when_unavailable: Literal["allow", "block"] = "allow",
    deadline_ms: float | None = None,
) -> AppGuard:
    """The policy `name` of the server, pulled at the first check and every ten seconds after it, or a `policy` of the
    application's own: the path of a file, or its data.

    `remote` lets the server judge each check: always, or where stanchion-guard is not installed. `deadline_ms` bounds a
    check, beside the policy's own deadline; a remote one takes at most a second unless it says otherwise.
    `when_unavailable` decides where nobody could judge: neither server nor disk has ever given the named policy, or the
    server did not answer a remote check; the verdict's coverage then says that nothing ran. Raises ImportError without
    stanchion-guard, PolicyError for a wrong `policy`, ValueError for arguments that do not go together.
    """
    _refuse_nonsense(name, policy, remote, when_unavailable, deadline_ms)
    from .guards import AppGuard

    has_engine = find_spec("stanchion_guard") is not None
    if name is not None and (remote == "always" or (remote == "without-engine" and not has_engine)):
        from .remote import Remote

        return AppGuard(Remote(name), name, when_unavailable, deadline_ms)
    if not has_engine:
        raise ImportError(
            "stanchion_sdk.guard needs stanchion-guard: pip install 'stanchion-sdk[guard]', or let the server judge"
            ' with guard(name, remote="without-engine")'
        )
    from .sources import local, pulled

    source = local(policy) if policy is not None else pulled(str(name))
    return AppGuard(source, name or "", when_unavailable, deadline_ms)


def _refuse_nonsense(
    name: object, policy: object, remote: object, when_unavailable: object, deadline_ms: object
) -> None:
    if (name is None) == (policy is None):
        raise ValueError("give either the name of a policy or `policy`")
    if remote not in (None, "always", "without-engine"):
        raise ValueError('`remote` is "always" or "without-engine"')
    if remote is not None and policy is not None:
        raise ValueError("the server judges by its own policies: give a name, or leave `remote` out")
    if when_unavailable not in ("allow", "block"):
        raise ValueError('`when_unavailable` is "allow" or "block"')
    if deadline_ms is not None and not (isinstance(deadline_ms, int | float) and deadline_ms > 0):
        raise ValueError("`deadline_ms` is a number above 0")
