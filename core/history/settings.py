"""The settings of History."""

import msgspec


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "history"."""

    port: int = 8114
    """gRPC port, of History and Admin."""
