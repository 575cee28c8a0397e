"""Reads the environment, once, at start; a wrong value ends the process with a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import environ

env = environ.Env()

# `manage.py up` writes the environment of its processes into the data folder, so that
# `STANCHION_DATA_DIR=... manage.py <command>` works on the same database. Variables that are set win.
if "STANCHION_DATA_DIR" in os.environ:
    environ.Env.read_env(Path(os.environ["STANCHION_DATA_DIR"]) / "environment")
