"""Describe the installed venues for the catalog service, from their own catalogs.

No connection is made: a Venue opens nothing before it runs.
"""

from collections.abc import Mapping

from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.common.v1 import types_pb2

from kit.base import settings
from kit.base.settings import MeshSettings
from kit.connector.contract import discovery
from kit.connector.contract import venue as contract
from kit.connector.contract.venue import Environment
from kit.connector.process.settings import VenueSettings

Installed = Mapping[str, catalog_pb2.Venue]
"""By venue id. The running process is not set."""

MATURITIES = {
    contract.ConnectorMaturity.PREVIEW: catalog_pb2.MATURITY_PREVIEW,
    contract.ConnectorMaturity.PROVEN: catalog_pb2.MATURITY_PROVEN,
}
PROOFS = {
    contract.BookProof.SEQUENCE: catalog_pb2.BOOK_PROOF_SEQUENCE,
    contract.BookProof.CHECKSUM: catalog_pb2.BOOK_PROOF_CHECKSUM,
    contract.BookProof.CONNECTION_SEQUENCE: catalog_pb2.BOOK_PROOF_CONNECTION_SEQUENCE,
}
SNAPSHOT_SOURCES = {
    contract.SnapshotSource.REST: catalog_pb2.SNAPSHOT_SOURCE_REST,
    contract.SnapshotSource.FEED: catalog_pb2.SNAPSHOT_SOURCE_FEED,
}
TRADE_HISTORIES = {
    contract.TradeHistoryLookup.BY_ID: catalog_pb2.TRADE_HISTORY_BY_ID,
    contract.TradeHistoryLookup.BY_TIME: catalog_pb2.TRADE_HISTORY_BY_TIME,
}
TRADE_NUMBERINGS = {
    contract.TradeNumbering.NONE: catalog_pb2.TRADE_NUMBERING_UNSPECIFIED,
    contract.TradeNumbering.CONSECUTIVE: catalog_pb2.TRADE_NUMBERING_CONSECUTIVE,
    contract.TradeNumbering.SKIPPING: catalog_pb2.TRADE_NUMBERING_SKIPPING,
}


def load(mesh: MeshSettings) -> Installed:
    """Read the catalogs of all venues, with the settings of each.

    Raises SettingError for a choice that a venue does not have.
    """
    found = {}
    for venue_id, make in discovery.venues().items():
        own = settings.load(VenueSettings, f"venues.{venue_id}")
        venue = make(Environment(mesh.world, mesh.simulator_url, own.options))
        found[venue_id] = describe(venue, own.port or venue.port)
    return found


def describe(venue: contract.Venue, port: int) -> catalog_pb2.Venue:
    """The catalog entry of one venue on this port."""
    profile = venue.profile
    return catalog_pb2.Venue(
        venue=venue.venue_id,
        exchange=profile.exchange,
        segment=profile.segment,
        port=port,
        channels=sorted(venue.channels),
        features=_features(venue),
        credentials=profile.credentials,
        maturity=MATURITIES[profile.maturity],
        default_symbols=venue.default_symbols,
        notes=profile.notes,
        limits=_limits(venue.limits),
        fee_schedule=catalog_pb2.FeeSchedule(
            maker=f"{venue.fee_schedule.maker:f}", taker=f"{venue.fee_schedule.taker:f}"
        ),
    )


def _features(venue: contract.Venue) -> catalog_pb2.Features:
    return catalog_pb2.Features(
        book_proofs=[PROOFS[proof] for proof in contract.BookProof if proof in venue.book_proofs],
        snapshot_source=SNAPSHOT_SOURCES[venue.book.snapshots],
        book_depth=venue.book.depth,
        venue_candles=types_pb2.CHANNEL_CANDLES in venue.channels,
        trade_history=[TRADE_HISTORIES[way] for way in venue.profile.trade_history],
        trade_numbering=TRADE_NUMBERINGS[venue.profile.trade_numbering],
        candles_sum_trades=venue.profile.candles_sum_trades,
    )


def _limits(limits: contract.VenueLimits) -> catalog_pb2.Limits:
    return catalog_pb2.Limits(
        symbols_per_connection=limits.symbols_per_connection,
        symbols_per_message=limits.symbols_per_message,
        messages_per_second=limits.messages_per_second,
        requests_per_second=limits.requests_per_second,
        connections_per_minute=limits.connections_per_minute,
        connection_lifetime_s=limits.lifetime_s or 0,
    )
