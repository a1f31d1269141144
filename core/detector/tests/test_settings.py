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


@pytest.mark.parametrize("world", ["simulate", "replay", "live"])
def test_a_folder_runs_in_every_world(world, tmp_path):
    settings = DetectorSettings(strategies_folder=str(tmp_path))
    assert settings.folder_of(MeshSettings(world=world)) == tmp_path
    with pytest.raises(SettingError, match="must be a folder that is there"):
        DetectorSettings(strategies_folder="nowhere").folder_of(MeshSettings(world=world))
