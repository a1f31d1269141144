"""The columns that a schema reads, with one value for each row of the innermost list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata.model.columns import NumberColumn, PriceLevels, SymbolColumn


class FrameError(ValueError):
    """A frame does not match its schema."""


@dataclass(frozen=True, slots=True)
class DecodedFrames:
    """The columns of a schema's fields, by the names in the schema."""

    columns: Mapping[str, Any]
    frame: IntColumn
    """The position of each row's frame."""
    bids: PriceLevels
    asks: PriceLevels

    def __len__(self) -> int:
        return len(self.frame)

    def symbols(self, name: str) -> SymbolColumn:
        column: SymbolColumn = self.columns[name]
        return column

    def identifiers(self, name: str) -> list[str]:
        column: list[str] = self.columns[name]
        return column

    def integers(self, name: str) -> IntColumn:
        """An INTEGER field, a TIME field in ns, or a FLAG field as 0 and 1."""
        column: IntColumn = self.columns[name]
        return column

    def numbers(self, name: str) -> NumberColumn:
        column: NumberColumn = self.columns[name]
        return column

    def among(self, name: str, meanings: Mapping[str, int]) -> IntColumn:
        """A TEXT field, each text replaced by its value in a mapping. Raises FrameError for other
        texts."""
        texts = self.symbols(name)
        unknown = [text for text in texts.names if text not in meanings]
        if unknown:
            raise FrameError(f"{name} is {unknown[0][:40]!r}")
        return np.array([meanings[text] for text in texts.names], dtype=np.int64)[texts.row]
