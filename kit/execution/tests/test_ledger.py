"""Whatever comes in whatever order, the ledger ends where the venue is."""

import random
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import Fee, VenueFill, VenueOrder
from kit.execution.journal import records
from kit.execution.journal.records import Amending, Intended, Sent
from kit.execution.orders import states
from kit.execution.orders.account_state import AccountState, News, ended
from kit.execution.orders.order import Outcome, digest_of
from kit.execution.orders.order_index import OrderIndex
from kit.execution.tests.fake_venue import limit_order
from tests.support.manual_clock import ManualClock

KEY = "0" * 32


class Heard:
    def __init__(self):
        self.orders = []
        self.fills = []
        self.doubts = []
        self.strangers = []

    def order(self, entry):
        self.orders.append(entry.message())

    def fill(self, entry, fill):
        self.fills.append(fill)

    def doubt(self, entry):
        self.doubts.append(entry.key)

    def stranger(self, symbol, venue_order_id):
        self.strangers.append((symbol, venue_order_id))


def ledger():
    written = []
    found = AccountState("fake", "main", ManualClock(), written.append, Heard())
    found.written = written
    return found


def sent(book, size="4", key=KEY):
    content = limit_order(size=size)
    intended = Intended(key, "r", digest_of(content, "r"), content.SerializeToString(), 1, 0, False)
    entry = book.index.put_intended(intended)
    book._write(intended)
    book.move(entry, states.SENT)
    return entry


def order(state=states.OPEN, filled="0", at=1, client=KEY, venue="v", size="4", price="100"):
    return VenueOrder(
        "BTCUSDT",
        venue,
        client,
        types_pb2.SIDE_BUY,
        orders_pb2.ORDER_TYPE_LIMIT,
        Decimal(size),
        Decimal(price),
        state,
        Decimal(filled),
        venue_time_ns=at,
    )


def fill(number, size="1", price="100", client=KEY, venue="v", fee="0.1"):
    paid = (Fee("USDT", Decimal(fee)),)
    return VenueFill(
        "BTCUSDT",
        f"f{number}",
        venue,
        client,
        types_pb2.SIDE_BUY,
        Decimal(price),
        Decimal(size),
        paid,
        orders_pb2.LIQUIDITY_TAKER,
        number,
    )


def apply(book, news):
    if isinstance(news, VenueOrder):
        book.order(news)
    else:
        book.fill(news)


STORY = [
    order(states.ACKNOWLEDGED, at=1),
    order(states.OPEN, at=2),
    fill(1),
    order(states.PARTLY_FILLED, "1", at=3),
    fill(2, "2", "103"),
    order(states.PARTLY_FILLED, "3", at=4),
]
ENDS = {
    states.FILLED: [fill(3, "1", "104"), order(states.FILLED, "4", at=5)],
    states.CANCELLED: [order(states.CANCELLED, "3", at=5)],
    states.EXPIRED: [order(states.EXPIRED, "3", at=5)],
}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(ENDS)), st.integers(0, 1 << 30), st.booleans())
def test_any_order_of_news_ends_alike(end, seed, named):
    chance = random.Random(seed)
    news = [*STORY, *ENDS[end]]
    twice = [*news, *chance.sample(news, 3)]
    chance.shuffle(twice)
    book = ledger()
    entry = sent(book)
    for one in twice:
        # Some venues leave our id out.
        apply(book, one if named or chance.random() < 0.5 else replace(one, client_order_id=""))
    book.name(entry, "v")
    assert entry.state == end
    assert entry.fill_size == (4 if end == states.FILLED else 3)
    assert entry.filled == entry.fill_size
    assert entry.fees == {"USDT": Decimal("0.1") * len(entry.fills)}
    assert len(book._listener.fills) == len(entry.fills)
    assert not book.strangers
    assert [one.key for one in book.index.orders.values()] == [KEY]
    moves = [message.state for message in book._listener.orders]
    assert moves[0] == states.SENT
    final = next(place for place, state in enumerate(moves) if state in states.FINAL)
    assert set(moves[final:]) == {end}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(0, 30))
def test_the_journal_gives_all_of_it_again(seed, count):
    chance = random.Random(seed)
    book = ledger()
    entry = sent(book)
    news = [*STORY, *ENDS[states.FILLED], order(venue="x", client="")]
    for one in chance.choices(news, k=count):
        apply(book, one)
    again = OrderIndex()
    for record in [*book.written, *book.written[-5:]]:
        again.replay(records.decode(records.encode(record)))
    compact = OrderIndex()
    for record in book.index.records():
        compact.replay(records.decode(records.encode(record)))
    for index in (again, compact):
        assert index.orders[KEY].message() == entry.message()
        assert set(index.open) == set(book.index.open)
        assert {fill.fill_id for fill in index.fills.values()} == {
            fill.fill_id for fill in book.index.fills.values()
        }
        assert index.find("BTCUSDT", "", "v") is (index.orders[KEY] if entry.fills else None) or (
            entry.venue_order_id == "v"
        )


def test_sent_and_nothing_more_is_unknown_after_a_restart():
    book = ledger()
    entry = sent(book)
    index = OrderIndex()
    index.replay(book.written[0])
    assert index.orders[KEY].state == states.INTENDED
    index.replay(Sent(entry.key, 1))
    assert index.orders[KEY].state == states.UNKNOWN


def test_average_and_fees_are_exact():
    book = ledger()
    entry = sent(book, size="100")
    book.fill(fill(1, "0.1", "0.1", fee="0.10000000000000000001"))
    book.fill(fill(2, "0.2", "0.2", fee="-0.1"))
    assert entry.message().average_price == "0.1666666666666667"
    assert entry.message().fees[0].amount == "0.00000000000000000001"


def test_another_fee_is_said_and_taken():
    book = ledger()
    entry = sent(book)
    assert book.fill(fill(1)) is News.NEW
    assert book.fill(fill(1)) is News.KNOWN
    assert book.fill(fill(1, fee="0.2")) is News.FEE
    assert entry.fees == {"USDT": Decimal("0.2")}
    assert entry.fill_size == 1


def test_a_missed_fill_is_added_to_what_was_cancelled():
    book = ledger()
    entry = sent(book)
    book.order(order(states.CANCELLED))
    assert book.fill(fill(1)) is News.NEW
    assert (entry.state, entry.filled) == (states.CANCELLED, 1)


def test_a_fill_of_what_was_rejected_is_not_lost():
    book = ledger()
    entry = sent(book)
    book.move(entry, states.REJECTED, orders_pb2.REJECT_REASON_OTHER, "no")
    book.fill(fill(1))
    assert entry.state == states.UNKNOWN
    assert book._listener.doubts == [KEY]
    book.order(order(states.PARTLY_FILLED, "1"), asked=True)
    assert entry.state == states.PARTLY_FILLED


def test_news_without_our_id_wait_while_they_may_be_ours():
    book = ledger()
    entry = sent(book)
    book.fill(fill(1, client="", venue="v"))
    book.order(order(client="", venue="other"))
    assert book._listener.strangers == [("BTCUSDT", "v"), ("BTCUSDT", "other")]
    book.accepted(entry, "v")
    assert entry.filled == 1
    assert book.order(order(client="", venue="other"), asked=True).external
    assert len(book.index.orders) == 2


def test_more_filled_than_its_fills_is_asked_for():
    book = ledger()
    entry = sent(book)
    book.order(order(states.FILLED, "4"))
    assert entry.lacks_fills
    assert book._listener.doubts == [KEY]


def test_what_ended_long_ago_is_forgotten_but_not_while_it_may_be_asked_again():
    book = ledger()
    old, asked, open_order = (sent(book, key=str(n) * 32) for n in range(3))
    asked.approval_ends_ns = 1 << 62
    for entry in (old, asked):
        book.fill(fill(int(entry.key[0]), "4", client=entry.key, venue=entry.key))
    now_ns = book._clock.time_ns()
    assert book.index.forget(now_ns, now_ns - 1, 100) == 0
    assert book.index.forget(now_ns + 10, now_ns + 5, 100) == 1
    assert set(book.index.orders) == {asked.key, open_order.key}
    assert len(book.index.fills) == 1


def amended(book, entry, size="9"):
    amending = Amending(entry.key, "a", b"", Decimal(size), Decimal(101), Outcome.WANTED, "")
    book.amendment(entry, amending)
    book.amendment(entry, ended(amending, Outcome.DONE))


def test_news_from_before_an_amendment_do_not_undo_it():
    book = ledger()
    entry = sent(book)
    book.order(order(at=1))
    amended(book, entry)
    book.order(order(states.PARTLY_FILLED, "1", at=2))
    assert (entry.size, entry.state) == (9, states.PARTLY_FILLED)
    book.order(order(states.PARTLY_FILLED, "1", at=2), asked=True)
    assert (entry.size, entry.price) == (9, 101)
    book.order(order(states.PARTLY_FILLED, "1", at=3, size="9", price="101"))
    # From here on the venue is believed again: somebody may amend it elsewhere.
    book.order(order(states.PARTLY_FILLED, "1", at=4, size="8", price="101"))
    assert entry.size == 8


def test_of_an_amended_order_only_the_venue_says_that_it_is_whole():
    book = ledger()
    entry = sent(book)
    amended(book, entry, "3")
    book.fill(fill(1, "3"))
    assert entry.state == states.PARTLY_FILLED
    assert book._listener.doubts == [KEY]
    book.order(order(states.FILLED, "3", size="3"), asked=True)
    assert entry.state == states.FILLED


def test_what_the_venue_forgot_has_ended_as_its_fills_tell():
    for size, end in (("4", states.FILLED), ("1", states.CANCELLED)):
        book = ledger()
        entry = sent(book)
        amended(book, entry, "4")
        book.fill(fill(1, size))
        book.end_unheard(entry, "gone")
        assert entry.state == end
