"""What ``new-venue`` changes in its template for the options of the new exchange."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ops.errors import OperationsError

END = "\0"
"""In ``until``: the end of the file."""
BOOK_SOURCES = ("feed", "rest")
TRADE_IDS = ("numeric", "text", "none")


class TemplateEdit(NamedTuple):
    """Replace a text in a file of the template; with ``until``, everything from the text up to
    there."""

    file: str
    text: str
    replacement: str
    until: str = ""


class SequenceRuleVariant(NamedTuple):
    """A sequence rule as the template uses it."""

    name: str
    works_with_rest: bool
    proof: str
    """What proves a book, for the table of venues in README.md."""
    explanation: str
    sequence: str = 'found.integers("sequence")'
    first_sequence: str = "sequence"
    expected: str = "[100, 107]"
    """last_sequence of the two book frames in tests/test_parse.py."""


RULES = {
    "chain": SequenceRuleVariant(
        "PreviousIdRule", False, "chained ids", "Each update names the update before it."
    ),
    "counting": SequenceRuleVariant(
        "ConsecutiveIdRule",
        False,
        "consecutive update ids",
        "The updates of a book count by one.",
        'found.integers("number")',
        expected="[20, 21]",
    ),
    "overlap": SequenceRuleVariant(
        "RangeOverlapRule",
        True,
        "first and last update id",
        "Each update covers a range of ids, which begins after the last id of the one before.",
        first_sequence='found.integers("previous") + 1',
    ),
    "time": SequenceRuleVariant(
        "TimestampRule",
        True,
        "nothing: updates have only a time",
        "Updates have the time of the book, and no numbers: a lost update does not show.",
        'found.integers("time")',
        expected="[1_781_885_870_259, 1_781_885_870_359]",
    ),
    "none": SequenceRuleVariant(
        "UnnumberedRule",
        False,
        "nothing: updates have no numbers",
        "Updates have neither numbers nor times: a lost update does not show.",
    ),
}


@dataclass(frozen=True, slots=True)
class NewVenueOptions:
    """The options of ``new-venue``."""

    book: str = "feed"
    """Where snapshots come from: one of BOOK_SOURCES."""
    rule: str = "chain"
    """A key of RULES."""
    trade_ids: str = "numeric"
    """numeric: they count by one. text. none: numbers that show no missing trade."""
    has_quotes: bool = True

    @property
    def book_proof(self) -> str:
        """What proves a book, and whether snapshots come over REST."""
        proof = RULES[self.rule].proof
        return f"{proof}, REST snapshot" if self.book == "rest" else proof


def edits(choices: NewVenueOptions) -> Iterator[TemplateEdit]:
    """The changes to the template. Raises OperationsError for choices that exclude each other."""
    rule = RULES[choices.rule]
    if choices.book == "rest" and not rule.works_with_rest:
        allowed = ", ".join(name for name, one in RULES.items() if one.works_with_rest)
        raise OperationsError(
            f"--rule {choices.rule} cannot join REST snapshots with updates: allowed with"
            f" --book rest are {allowed}; see docs/ADD_A_VENUE.md for rules of your own"
        )
    if (choices.book, choices.rule) != ("feed", "chain"):
        yield from _book_edits(choices.book, rule)
    if choices.rule in ("time", "none"):
        yield TemplateEdit(
            "tests/test_connector.py", "\n\nasync def test_a_lost_update", "\n", until=END
        )
    if choices.trade_ids != "numeric":
        yield from _trade_id_edits(choices.trade_ids)
    if not choices.has_quotes:
        yield from _quote_edits()


def _book_edits(source: str, rule: SequenceRuleVariant) -> Iterator[TemplateEdit]:
    origin = "over the feed, after a subscription" if source == "feed" else "over REST"
    text = f"Snapshots come {origin}.\n{rule.explanation}"
    yield TemplateEdit("book.py", "A subscription begins", f"{text}\n\n", until="To change:")
    for _ in range(2):
        yield TemplateEdit("book.py", "PreviousIdRule", rule.name)
    yield TemplateEdit("book.py", "SnapshotSource.FEED", f"SnapshotSource.{source.upper()}")
    yield TemplateEdit(
        "README.md",
        "For an update with",
        f"`{rule.name}`: {text}\n\n",
        until="## Limits",
    )
    yield TemplateEdit(
        "parse.py",
        'sequence = found.integers("sequence")\n    return Book',
        f"sequence = {rule.sequence}\n    return Book",
    )
    yield TemplateEdit(
        "parse.py", "first_sequence=sequence", f"first_sequence={rule.first_sequence}"
    )
    yield TemplateEdit("tests/test_parse.py", "[100, 107]", rule.expected)
    last = rule.expected.strip("[]").partition(",")[0]
    read = "sequence_of(BOOK) == "
    yield TemplateEdit("simulator/tests/test_capture.py", f"{read}100", read + last)
    if rule.name == "TimestampRule":
        yield TemplateEdit("history.py", "    sequence: int\n    bids", "    time: int\n    bids")
        yield TemplateEdit("history.py", '{"sequence":100,"bids"', '{"time":1781885870259,"bids"')
        yield TemplateEdit(
            "history.py", "last_sequence=answer.sequence", "last_sequence=answer.time"
        )
        yield TemplateEdit(
            "history.py", "sequence counts as in the feed", "time is that of the book"
        )
    if rule.name == "ConsecutiveIdRule":
        yield TemplateEdit("history.py", "last_sequence=answer.sequence", "last_sequence=0")
        yield TemplateEdit(
            "history.py", "sequence counts as in the feed", "it has no number of the feed"
        )
    if source == "rest":
        yield from _rest_book_edits()


def _rest_book_edits() -> Iterator[TemplateEdit]:
    nothing = '"""Nothing: the whole book comes over REST."""\n        return []\n\n    '
    yield TemplateEdit("feed.py", '"""Unsubscribe and subscribe again', nothing, until="def ping")
    yield TemplateEdit("feed.py", 'BOOK = "book"\n', "")
    yield TemplateEdit("README.md", "| the whole book, then changes |", "| changes |")
    compared = "| to compare a book with |"
    both = "| the book at the start and after a loss; to compare a book with |"
    yield TemplateEdit("README.md", compared, both)
    renewed = "def test_a_book_is_renewed"
    yield TemplateEdit(
        "tests/test_feed.py", renewed, "", until='@pytest.mark.parametrize("channel"'
    )
    capture_file = "            # A capture has its own snapshots.\n"
    yield TemplateEdit("simulator/websocket.py", capture_file, "", until="        return answers")
    file = "simulator/tests/test_public.py"
    snapshot = "    book = await websocket.receive_json(timeout=5)\n"
    yield TemplateEdit(file, snapshot, "    last, updates = 0, 0\n", until="    while updates < 5")
    joined = 'assert frame["previous"] == last'
    yield TemplateEdit(file, joined, 'assert last in (0, frame["previous"])')


def _trade_id_edits(trade_ids: str) -> Iterator[TemplateEdit]:
    yield TemplateEdit("catalog.py", "    trade_numbering=TradeNumbering.CONSECUTIVE,\n", "")
    yield TemplateEdit("parse.py", "        previous_id=trade_id - 1,\n", "")
    given = "rows.previous_id is not None\n    assert rows.previous_id.tolist() == [16, 17]"
    yield TemplateEdit("tests/test_parse.py", given, "rows.previous_id is None")
    ids = "`id` is a text" if trade_ids == "text" else "`id` grows"
    fetched = "a hole in the ids is fetched, or published as a gap"
    yield TemplateEdit("README.md", "`id` counts by one", ids)
    yield TemplateEdit("README.md", fetched, "a lost trade does not show")
    yield TemplateEdit("README.md", "ListTrades; what was missed", "ListTrades")
    if trade_ids == "none":
        grows = "id: grows for each symbol"
        yield TemplateEdit("parse.py", "id: counts by one for each symbol", grows)
        yield from _trade_id_test("grow", "ids == sorted(set(ids))")
    if trade_ids == "text":
        yield from _text_id_edits()
        yield from _text_id_test_edits()


def _text_id_edits() -> Iterator[TemplateEdit]:
    yield TemplateEdit("catalog.py", "    TradeNumbering,\n", "    TradeHistoryLookup,\n")
    yield TemplateEdit(
        "catalog.py", "    notes=", "    trade_history=(TradeHistoryLookup.BY_TIME,),\n    notes="
    )
    yield TemplateEdit("parse.py", '"id": Field.INTEGER', '"id": Field.IDENTIFIER')
    yield TemplateEdit(
        "parse.py",
        '    trade_id = found.integers("id")\n    return TradeRows(',
        "    return TradeRows(",
    )
    yield TemplateEdit(
        "parse.py",
        "trade_id=trade_id,",
        'trade_id=zeros(len(found.frame)),\n        trade_id_text=found.identifiers("id"),',
    )
    yield TemplateEdit("parse.py", "QuoteRows, TradeRows", "QuoteRows, TradeRows, zeros")
    yield TemplateEdit("parse.py", '"id":17', '"id":"t17"')
    yield TemplateEdit("parse.py", "id: counts by one for each symbol", "id: a text, in no order")
    yield TemplateEdit("history.py", "    id: int\n", "    id: str\n")
    yield TemplateEdit("history.py", "trade_id=str(row.id)", "trade_id=row.id")
    refusal = (
        "        if first_trade_id:\n"
        '            words = "trade ids have no order"\n'
        '            raise NotSupported(words, service=self._venue_id, wanted="from_id")\n'
        "        if start_time_ns:"
    )
    yield TemplateEdit(
        "history.py", "        if first_trade_id:", refusal, until='\n            query["start"]'
    )
    yield TemplateEdit("history.py", "import BadRequest", "import BadRequest, NotSupported")
    yield TemplateEdit("simulator/encode.py", '"id": trade.trade_id', '"id": f"t{trade.trade_id}"')
    yield TemplateEdit("simulator/rest.py", '"id": trade.trade_id', '"id": f"t{trade.trade_id}"')
    zeros = "        keeps_zeros=True,\n"
    number = "        trade_number=lambda text: int(text[1:]),\n"
    yield TemplateEdit("simulator/capture.py", zeros, zeros + number)


def _text_id_test_edits() -> Iterator[TemplateEdit]:
    for file in ("tests/test_parse.py", "simulator/tests/test_capture.py"):
        yield TemplateEdit(file, '"id":17', '"id":"t17"')
    yield TemplateEdit("tests/test_parse.py", 'b":17,", b":18,"', "b'\"t17\"', b'\"t18\"'")
    yield TemplateEdit(
        "tests/test_parse.py",
        "rows.trade_id.tolist() == [17, 18]",
        'rows.trade_id_text == ["t17", "t18"]',
    )
    yield TemplateEdit(
        "tests/test_history.py",
        '    by_id = await history.trades("BTC-USD", int(middle.trade_id), 0, 5)\n',
        '    with pytest.raises(NotSupported):\n        await history.trades("BTC-USD", 1, 0, 5)\n',
    )
    yield TemplateEdit(
        "tests/test_history.py", "    assert by_id[0].trade_id == middle.trade_id\n", ""
    )
    yield TemplateEdit(
        "tests/test_history.py",
        "assert [len(by_id), len(by_time)] == [5, 5]",
        "assert len(by_time) == 5",
    )
    yield TemplateEdit(
        "tests/test_history.py", "import BadRequest, Unk", "import BadRequest, NotSupported, Unk"
    )
    yield from _trade_id_test("differ", "len(set(ids)) == 10")


def _trade_id_test(what_ids_do: str, condition: str) -> Iterator[TemplateEdit]:
    file = "simulator/tests/test_public.py"
    yield TemplateEdit(file, "test_trades_count_by_one", f"test_trade_ids_{what_ids_do}")
    yield TemplateEdit(file, "ids == list(range(ids[0], ids[0] + 10))", condition)


def _quote_edits() -> Iterator[TemplateEdit]:
    yield TemplateEdit("parse.py", "QUOTE = FrameSchema", "", until="BOOK = FrameSchema")
    yield TemplateEdit("parse.py", "def quotes(", "", until="def book(")
    yield TemplateEdit("feed.py", '"trades", "quotes", "book"', '"trades", "book"')
    yield TemplateEdit(
        "feed.py",
        "types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES, ",
        "types_pb2.CHANNEL_TRADES, ",
    )
    yield TemplateEdit(
        "feed.py", '        FrameKind("quotes", b\'"quotes"\', [parse.quotes]),\n', ""
    )
    yield TemplateEdit("feed.py", "Trades, quotes and books", "Trades and books")
    yield TemplateEdit("simulator/streams.py", '"quotes": Channel.QUOTES, ', "")
    yield TemplateEdit("simulator/streams.py", "``quotes:BTC-USD``, ", "")
    yield TemplateEdit("simulator/capture.py", "    Channel.QUOTES: parse.quotes,\n", "")
    yield TemplateEdit(
        "simulator/encode.py",
        "            elif type(event) is BestQuote:\n",
        "",
        until="        if step.time_ns %",
    )
    yield TemplateEdit("simulator/encode.py", "def _quote_frame", "", until="def _levels")
    yield TemplateEdit("tests/test_parse.py", "QUOTE = (", "", until="SNAPSHOT = (")
    yield TemplateEdit(
        "tests/test_parse.py", "def test_a_quote_has", "", until="def test_a_book_begins"
    )
    for _ in range(2):
        yield TemplateEdit("tests/test_feed.py", '"trades", "quotes", "book"', '"trades", "book"')
    yield TemplateEdit("README.md", "| QUOTES |", "", until="| BOOK |")
