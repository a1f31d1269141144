"""A map that is read from its message is the same map."""

import pytest
from venuemesh.events.v1 import calibrations_pb2

from core.advisor.calibration.calibrator import POOL, Calibrator
from core.advisor.calibration.maps import IdentityMap, IsotonicMap, PlattMap, ShiftedMap
from core.advisor.calibration.messages import map_message, read_map
from core.advisor.calibration.online import OnlinePlattMap
from core.advisor.calibration.selection import MapKind
from core.advisor.calibration.tests.planted import GRID

MAPS = {
    MapKind.IDENTITY: IdentityMap(),
    MapKind.PLATT: PlattMap(0.7, -0.3),
    MapKind.ONLINE_PLATT: OnlinePlattMap(1.3, 0.1, 4.0, 0.2, 6.0),
    MapKind.ISOTONIC: IsotonicMap((0.1, 0.4, 0.8), (0.2, 0.2, 0.9)),
}


@pytest.mark.parametrize("shift", [None, 0.123456789012345])
@pytest.mark.parametrize("kind", MAPS)
def test_a_map_of_a_message_gives_the_same_probabilities(kind, shift):
    chosen = MAPS[kind] if shift is None else ShiftedMap(MAPS[kind], shift)
    found = Calibrator().maps[POOL]._replace(kind=kind, map=chosen, conviction_max=1.0)
    sent = map_message("ema_cross", "calm", found).SerializeToString(deterministic=True)
    read = read_map(calibrations_pb2.CalibrationMap.FromString(sent))
    grid = [0.0, *GRID, 1.0]
    assert list(map(read.probability, grid)) == list(map(chosen.probability, grid))


def test_points_without_a_probability_are_rejected():
    isotonic = calibrations_pb2.CALIBRATION_MAP_KIND_ISOTONIC
    for points in ([], [0.1]):
        message = calibrations_pb2.CalibrationMap(kind=isotonic, convictions=points)
        with pytest.raises(ValueError, match="one probability for each"):
            read_map(message)
