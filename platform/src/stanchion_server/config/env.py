"""Reads the environment, once, at start; a wrong value ends the process with a sentence."""

from __future__ import annotations

import environ

env = environ.Env()
