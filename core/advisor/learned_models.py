"""What the advisor has learned about the strategy of a signal, as stored."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from venuemesh.events.v1 import calibrations_pb2, scoring_models_pb2, signals_pb2

from core.advisor import calibration_store, scoring_model_store
from kit.base.database import Database


class LearnedModels(NamedTuple):
    """The calibration map in force, the scoring model in force and the shadows."""

    calibration_map: calibrations_pb2.CalibrationMap
    scoring_models: Sequence[scoring_models_pb2.AssignedScoringModel] = ()


class StoredModels:
    """Those in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, signals: Collection[signals_pb2.SignalRaised]) -> Sequence[LearnedModels]:
        """Those for each signal. Raises StoreUnavailable."""
        async with self._database.reading() as connection:
            maps = await calibration_store.load_maps(connection, signals)
            strategies = {signal.strategy for signal in signals}
            models = await scoring_model_store.load_used(connection, strategies)
        return [
            LearnedModels(calibration_map, models.get(signal.strategy, ()))
            for signal, calibration_map in zip(signals, maps, strict=True)
        ]
