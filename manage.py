#!/usr/bin/env python3
"""Django's command line, with the four source roots on the path and the repository root off it.

The root must go: `platform/` and `guardrails/` beside this file would otherwise stand in for other packages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SOURCE_ROOTS = [str(ROOT / folder / "src") for folder in ("platform", "guardrails", "gpu_agent", "collectors")]


def main() -> None:
    sys.path[:] = SOURCE_ROOTS + [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stanchion_server.config.settings")
    if sys.argv[1:2] == ["up"]:
        # `up` makes the secret and the database that the settings ask for, so it runs before them and without Django.
        from stanchion_server.commands import up

        sys.exit(up.main(sys.argv[2:]))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
