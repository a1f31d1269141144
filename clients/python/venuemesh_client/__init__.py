"""Reads market data and the record of a mesh, and places orders::

    async with Client("127.0.0.1:8081", token) as client:
        book = await proven_book(client, "binance", "BTCUSDT")

See clients/python/README.md.
"""

from venuemesh_client.book import Book
from venuemesh_client.client import Client, reason_of
from venuemesh_client.follow_book import follow_book, proven_book
from venuemesh_client.orders import NotPlaced, cancel, executions, place
from venuemesh_client.pages import pages
from venuemesh_client.stream import WhenExpired, subscribe
from venuemesh_client.table import Cell, MalformedBatch, Table, read_batch, text_of, word_of

__all__ = [
    "Book",
    "Cell",
    "Client",
    "MalformedBatch",
    "NotPlaced",
    "Table",
    "WhenExpired",
    "cancel",
    "executions",
    "follow_book",
    "pages",
    "place",
    "proven_book",
    "read_batch",
    "reason_of",
    "subscribe",
    "text_of",
    "word_of",
]
