"""Which strategies run in which world."""

import pytest

from core.detector.settings import EXAMPLE_FOLDER, DetectorSettings
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings


@pytest.mark.parametrize(
    ("world", "expected"), [("simulate", EXAMPLE_FOLDER), ("replay", None), ("live", None)]
)
def test_the_example_runs_in_the_simulated_world_only(world, expected):
    assert DetectorSettings().folder_of(MeshSettings(world=world)) == expected


@pytest.mark.parametrize("world", ["simulate", "replay"])
def test_a_folder_runs_outside_the_world_live(world, tmp_path):
    settings = DetectorSettings(strategies_folder=str(tmp_path))
    assert settings.folder_of(MeshSettings(world=world)) == tmp_path
    with pytest.raises(SettingError, match="must be empty in the world live"):
        settings.folder_of(MeshSettings(world="live"))
