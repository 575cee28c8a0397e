"""A Python that sees this environment as if only one lock file had been installed: what an operator gets who did not
ask for extras."""

from __future__ import annotations

import re
import site
import sys
import venv
from importlib.metadata import packages_distributions
from pathlib import Path


def made(folder: Path, lock: Path) -> Path:
    """The interpreter of a new environment in `folder` that imports what this one does, less the modules that only
    packages outside `lock` bring: those are neither found nor imported."""
    venv.create(folder, symlinks=True)
    lines = ["import sys; sys.modules.update(dict.fromkeys(%r))" % hidden(lock)]  # noqa: UP031 - a line of code
    lines += [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (packages / "plain.pth").write_text("\n".join(lines))
    return folder / "bin" / "python"


def hidden(lock: Path) -> list[str]:
    """Modules of installed packages that `lock` does not name."""
    named = {_plain(line.split("==")[0]) for line in lock.read_text().splitlines() if "==" in line}
    owners = packages_distributions()
    return sorted(module for module, names in owners.items() if named.isdisjoint(map(_plain, names)))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
