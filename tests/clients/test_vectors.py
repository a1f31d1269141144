"""The golden vectors in the repository are those that the readers in Python make."""

from decimal import localcontext

from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh_client.book import Book

from kit.marketdata.book.checksum import top_checksum
from kit.marketdata.model.columns import Scale
from tests.clients import cases, vectors


def test_the_files_are_current():
    kept = {file.name: file.read_text() for file in vectors.FOLDER.glob("*.json")}
    assert kept == vectors.files(), "run python -m tests.clients.vectors"


def test_the_checksum_is_that_of_the_mesh():
    _, batches = cases.books()["more than 25 levels"]
    book = Book(cases.SYMBOL)
    for batch in batches:
        book.apply(batch)
    scale = Scale(2, 8)
    with localcontext(prec=60):
        bids, asks = (
            [(int(price * 10**scale.price), int(size * 10**scale.size)) for price, size in side]
            for side in (book.bids, book.asks)
        )
    assert len(bids) > 25
    assert book.checksum() == top_checksum(bids, asks, scale)


def test_the_example_of_the_contract():
    """GetOrderBookResponse.checksum states one."""
    answer = market_data_pb2.GetOrderBookResponse(symbol=cases.SYMBOL)
    answer.bids.add(price="100.0", size="0.50")
    answer.asks.add(price="100.25", size="2")
    book = Book(cases.SYMBOL, answer)
    assert book.checksum() == 0x12E9987F
