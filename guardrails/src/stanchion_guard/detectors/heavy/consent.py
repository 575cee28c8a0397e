"""What the operator lets policies reach: folders of models, validators, judges.

A policy may be written by someone who must not run code on this machine, read its environment or call its network. So
a path, an import path or an address in a policy counts only if an environment variable of the process names it too.
"""

from __future__ import annotations

import os
from pathlib import Path

from stanchion_guard.detectors import Unavailable

MODELS = "STANCHION_GUARD_MODELS"
"""Folders that models may be loaded from, separated as PATH is."""
VALIDATORS = "STANCHION_GUARD_VALIDATORS"
"""Import paths `module:Class` of guardrails-ai validators, separated by spaces."""
JUDGES = "STANCHION_GUARD_JUDGES"
"""`base_url=NAME_OF_KEY_VARIABLE` of each judge, separated by spaces; nothing after the `=` for one without a key."""


def model_path(stated: str) -> Path:
    """The path without links and dots, if it exists and lies in a folder of `STANCHION_GUARD_MODELS`."""
    path = Path(stated).expanduser().resolve()
    folders = [Path(folder).resolve() for folder in os.environ.get(MODELS, "").split(os.pathsep) if folder]
    if not any(path.is_relative_to(folder) for folder in folders):
        raise Unavailable(f"the model's folder is not among those that {MODELS} allows: add it there")
    if not path.exists():
        raise Unavailable("the model's file or folder does not exist: put it there, or correct the path")
    return path


def validator_path(stated: str) -> tuple[str, str]:
    """Module and class, if `STANCHION_GUARD_VALIDATORS` names them."""
    if stated not in os.environ.get(VALIDATORS, "").split():
        raise Unavailable(f"{VALIDATORS} does not name this validator: add its import path module:Class there")
    module, _, name = stated.partition(":")
    if not module or not name:
        raise ValueError("guardrails_ai: `validator` is an import path module:Class")
    return module, name


def judge_key(base_url: str) -> str | None:
    """The key to be sent to `base_url`, None where the judge needs none."""
    known = dict(entry.rpartition("=")[::2] for entry in os.environ.get(JUDGES, "").split())
    if base_url not in known:
        raise Unavailable(f"{JUDGES} does not name this judge: add base_url=NAME_OF_KEY_VARIABLE there")
    name = known[base_url]
    if not name:
        return None
    key = os.environ.get(name)
    if not key:
        raise Unavailable(f"the key of the judge is missing: set the environment variable {name}")
    return key
