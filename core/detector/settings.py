"""The settings of the detector."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from core.detector.workers.worker_process import WorkerLimits
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings

BYTES_PER_MB = 1_000_000
FOLDER = "detector.strategies_folder"
EXAMPLE_FOLDER = Path(__file__).resolve().parents[2] / "strategies"


class DetectorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "detector"."""

    port: int = 8101
    """gRPC port, of Detector and Admin."""
    strategies_folder: str = ""
    """Folder of strategy files. Empty: the example in the world simulate, none in the others."""
    workers: Annotated[int, Meta(ge=1, le=64)] = 2
    """Most processes in which strategies run. A strategy that hangs or takes all memory ends its
    process; the others in it go on from their stored state in another one."""
    evaluation_seconds_max: Annotated[float, Meta(gt=0, le=600)] = 2.0
    """Most processor time of a strategy for up to 500 bars, and most time that it may sleep. Then
    it is stopped."""
    lease_seconds: Annotated[float, Meta(ge=1, le=600)] = 3.0
    """Time without renewal after which another detector takes over the strategies of this one."""
    worker_memory_mb_max: Annotated[int, Meta(ge=64, le=65_536)] = 1024
    """Most memory of a process with strategies, besides 30 MB of its own. A strategy that takes
    more than a quarter of it is stopped."""

    def folder_of(self, mesh: MeshSettings) -> Path | None:
        """The folder whose strategies run, if any. Raises SettingError."""
        named = self.strategies_folder
        if named and not Path(named).is_dir():
            raise SettingError(FOLDER, named, "must be a folder that is there")
        if named:
            return Path(named)
        return EXAMPLE_FOLDER if mesh.world == "simulate" else None

    @property
    def limits(self) -> WorkerLimits:
        """Of each process with strategies."""
        memory_bytes = self.worker_memory_mb_max * BYTES_PER_MB
        return WorkerLimits(self.evaluation_seconds_max, memory_bytes, memory_bytes // 4)
