"""The settings of Audit."""

from pathlib import Path

import msgspec

from kit.base.errors import SettingError
from kit.base.settings import MeshSettings

KEY_FOLDER = Path("keys") / "audit"
"""In the data folder."""
ANCHORS_FOLDER = Path("anchors") / "audit"
"""In the data folder, where no other one is needed."""
ORIGIN_LENGTH_MAX = 200


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "audit"."""

    port: int = 8121
    """gRPC port, of Audit and Admin."""
    origin: str = ""
    """Name of the log in its checkpoints, unique among all logs. Empty: venuemesh/ and
    mesh.mesh_id."""
    key_folder: str = ""
    """Folder of the keys that sign. Empty: keys/audit in mesh.data_dir."""
    anchors_folder: str = ""
    """Folder of the file with every checkpoint, which the user of the database must not be able to
    write. Empty: anchors/audit in mesh.data_dir, but the world live needs one that is named."""
    batch_events_max: int = 2_000
    """Most events of one stream that are taken in one transaction."""
    checkpoint_interval_s: int = 60
    """How often the root is signed, if there is something new. Checkpoints are at multiples of it
    since midnight UTC, where one is always signed."""
    lease_seconds: float = 5.0
    """Time without renewal after which another process writes the log."""
    readers_max: int = 2
    """Concurrent calls of Verify and Export."""
    chain_events_max: int = 2_000
    """Most events in an answer of Why."""

    def __post_init__(self) -> None:
        for key in (
            "batch_events_max",
            "checkpoint_interval_s",
            "lease_seconds",
            "readers_max",
            "chain_events_max",
        ):
            if getattr(self, key) <= 0:
                raise SettingError(f"audit.{key}", getattr(self, key), "must be above 0")
        if len(self.origin) > ORIGIN_LENGTH_MAX or any(
            sign.isspace() or sign == "+" for sign in self.origin
        ):
            allowed = f"up to {ORIGIN_LENGTH_MAX} characters without white space and +"
            raise SettingError("audit.origin", self.origin, allowed)

    def origin_of(self, mesh: MeshSettings) -> str:
        return self.origin or f"venuemesh/{mesh.mesh_id}"

    def keys_of(self, mesh: MeshSettings) -> Path:
        return Path(self.key_folder) if self.key_folder else Path(mesh.data_dir) / KEY_FOLDER

    def anchors_of(self, mesh: MeshSettings) -> Path:
        """The folder of the anchor. Raises SettingError where an anchor is needed and none
        is set."""
        if self.anchors_folder:
            return Path(self.anchors_folder)
        if mesh.world != "live":
            return Path(mesh.data_dir) / ANCHORS_FOLDER
        allowed = (
            "the world live needs an anchor: name a folder that the user of the database cannot "
            "write"
        )
        raise SettingError("audit.anchors_folder", self.anchors_folder, allowed)
