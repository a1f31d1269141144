"""The settings of the detector."""

from pathlib import Path

import msgspec

from kit.base.errors import SettingError
from kit.base.settings import MeshSettings

EXAMPLE_FOLDER = Path(__file__).resolve().parents[2] / "strategies"


class DetectorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "detector"."""

    port: int = 8101
    """gRPC port, of Detector and Admin."""
    strategies_folder: str = ""
    """Folder of strategy files. Empty: the example in the world simulate, none in the others. Must
    be empty in the world live: a strategy runs in the process of the detector, which has
    passwords."""

    def folder_of(self, mesh: MeshSettings) -> Path | None:
        """The folder whose strategies run, if any. Raises SettingError."""
        key, named = "detector.strategies_folder", self.strategies_folder
        if named and mesh.world == "live":
            raise SettingError(key, named, f"must be empty in the world live: {refusal(mesh)}")
        if named and not Path(named).is_dir():
            raise SettingError(key, named, "must be a folder that is there")
        if named:
            return Path(named)
        return EXAMPLE_FOLDER if mesh.world == "simulate" else None


def refusal(mesh: MeshSettings) -> str:
    """Why no strategy may run in this world; empty: it may."""
    if mesh.world != "live":
        return ""
    return (
        "a strategy is code that runs in the process of the detector, which has passwords. Run it"
        " in the world simulate or replay"
    )
