"""The wheel carries the compiled scan where it can be built; where it cannot, it is a wheel for every machine."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ScanHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable install uses the scan that is built beside the source."""
        building = _load(Path(self.root) / "build_scan.py")
        try:
            building.build()
        except (building.NotBuilt, OSError) as error:
            self.app.display_warning(f"without the compiled scan: {error}")
            return
        if version == "editable":
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"], build_data["tag"] = False, f"cp311-abi3-{platform}"
        build_data["force_include"][str(building.BUILT)] = f"stanchion_guard/native/{building.BUILT.name}"


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("build_scan", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
