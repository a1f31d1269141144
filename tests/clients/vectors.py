"""Golden vectors: batches and books with what a client reads from them.

``PYTHONPATH=.:gen:clients/python .venv/bin/python -m tests.clients.vectors`` writes them to
clients/vectors; the clients of all languages read them, and a test compares the files with this
module.
"""

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh_client.book import Book
from venuemesh_client.table import Cell, MalformedBatch, read_batch, text_of, word_of

from kit.base.cursor import Cursor
from kit.marketdata.model.batches import Batch
from tests.clients import cases

FOLDER = Path(__file__).resolve().parents[2] / "clients" / "vectors"
Json = dict[str, Any]


def files() -> dict[str, str]:
    """The text of each file, by name."""
    vectors = {"batches.json": list(_batches()), "books.json": list(_books())}
    return {name: json.dumps(each, indent=1) + "\n" for name, each in vectors.items()}


def as_json(cell: Cell) -> Any:
    """A cell as the vectors have it: numbers as decimal text, because JSON has only floats."""
    if isinstance(cell, Message):
        return MessageToDict(cell)
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode()
    if isinstance(cell, Decimal):
        return text_of(cell)
    return cell if isinstance(cell, bool | str) else str(cell)


def state_of(book: Book) -> Json:
    """What is compared of a book."""
    return {
        "state": book.state,
        "epoch": book.epoch,
        "last_sequence": str(book.last_sequence),
        "cursor": f"{book.cursor.epoch}-{book.cursor.sequence}",
        "bids": [[text_of(price), text_of(size)] for price, size in book.bids],
        "asks": [[text_of(price), text_of(size)] for price, size in book.asks],
        "checksum": book.checksum(),
    }


def _batches() -> Iterator[Json]:
    for name, batch in cases.batches().items():
        vector = {"name": name, "batch": _encoded(batch), "cursor": str(Cursor.of(batch.cursor))}
        gaps = [[gap.symbol, word_of(_REASONS, gap.reason), gap.detail] for gap in batch.gaps]
        try:
            table = read_batch(batch)
        except MalformedBatch:
            yield vector | {"gaps": gaps, "malformed": True}
            continue
        columns = {key: list(map(as_json, cells)) for key, cells in table.columns.items()}
        yield vector | {
            "gaps": gaps,
            "malformed": False,
            "channel": table.channel,
            "columns": columns,
        }


def _books() -> Iterator[Json]:
    for name, (start, batches) in cases.books().items():
        book = Book(cases.SYMBOL, start)
        steps = []
        begun = state_of(book)
        for batch in batches:
            malformed = False
            try:
                book.apply(batch)
            except MalformedBatch:
                malformed = True
            steps.append({"batch": _encoded(batch), "malformed": malformed} | state_of(book))
        yield {
            "name": name,
            "symbol": cases.SYMBOL,
            "answer": None if start is None else _encoded(start),
            "begun": begun,
            "steps": steps,
        }


def _encoded(message: Batch | market_data_pb2.GetOrderBookResponse) -> str:
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()


_REASONS = types_pb2.GapReason.DESCRIPTOR

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)
