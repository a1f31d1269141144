"""A desk over ccxt: what all venues have in common. What differs stands in each ``orders.py``."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import (
    NotSupported,
    RateLimited,
    UnknownInstrument,
    VenuemeshError,
)
from kit.base.request_budget import Priority
from kit.connector.orders.errors import ErrorTable
from kit.connector.orders.order_socket import OrderSocket, OrderSocketCodec
from kit.connector.orders.rest_session import UNREADABLE, Absent, Call, RestSession
from kit.connector.orders.user_stream import UserStream, UserStreamDecoder
from kit.execution.contract import (
    Accepted,
    AccountEvent,
    Credentials,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    OutcomeUnknown,
    Rejected,
    Transport,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)

Read = TypeVar("Read")


class Unsupported(Exception):
    """The venue has no such order, or cannot change it so. Says what it lacks."""


class OrderApiAdapter(Protocol):
    """How a venue takes orders: what a call looks like, and what its answer means. Pure but for
    the questions, each of which asks the line as often as it must."""

    capabilities: OrderCapabilities
    errors: ErrorTable
    exchange: str
    """Class of ccxt.pro."""
    one_at_a_time: bool
    """Whether calls must arrive in the order in which they were signed."""
    by_venue_id_only: bool
    """Whether an order can be changed and cancelled by the venue's id alone."""

    @property
    def hearing(self) -> UserStreamDecoder:
        """How the venue tells what happens."""

    def config(self, base_url: str | None) -> Mapping[str, Any]:
        """Of ccxt's object. ``base_url``: of the pretended venue."""

    async def prepare(self, line: RestSession) -> None:
        """Ask what must be known before anything else, once."""

    def place(self, wish: OrderRequest) -> Call:
        """Raises Unsupported, UnknownInstrument."""

    def amend(self, key: OrderKey, wish: OrderRequest) -> Call:
        """Raises Unsupported."""

    def cancel(self, key: OrderKey) -> Sequence[Call]:
        """One order, by the venue's id where it is known. The calls are made one after the other
        until one finds it: a venue may keep stops apart."""

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """All of these together do it. None of them: the venue cannot; each is cancelled alone."""

    def receipt(self, answer: Any) -> Verdict:
        """What the answer to any of these means."""

    def countdown(self, seconds: float) -> Sequence[Call]:
        """All of these. Raises Unsupported."""

    async def rights(self, line: RestSession) -> Sequence[str]:
        """What the key may do that it need not; a call that needs the key in any case."""

    async def find(self, line: RestSession, key: OrderKey) -> VenueOrder | None:
        """One order. May raise Absent."""

    async def open_orders(self, line: RestSession, symbol: str) -> list[VenueOrder]:
        """All pages."""

    async def fills(self, line: RestSession, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """All pages, in any order, also from before that time."""

    async def balances(self, line: RestSession) -> list[VenueBalance]:
        """Zeros too."""

    async def positions(self, line: RestSession) -> list[VenuePosition]:
        """Zeros too."""


class CcxtExecutionClient:
    """One account at one venue."""

    def __init__(
        self,
        venue_id: str,
        counter: OrderApiAdapter,
        base_url: str | None,
        credentials: Credentials,
        speaking: OrderSocketCodec | None = None,
        transport: Transport = "websocket",
    ) -> None:
        """``base_url``: of the pretended venue; None: the real one. ``speaking``: how orders are
        said over the venue's websocket; None: it has none."""
        self._counter = counter
        config = counter.config(base_url)
        self._line = RestSession(
            venue_id,
            counter.exchange,
            config,
            credentials,
            counter.errors,
            one_at_a_time=counter.one_at_a_time,
        )
        self._prepared = False
        self._act_once = self._line.act
        self.socket: OrderSocket | None = None
        """For orders; open from the moment on at which the account is followed."""
        if speaking is not None and transport == "websocket":
            self.socket = OrderSocket(self._line, speaking)
            self._act_once = self.socket.act

    @property
    def capabilities(self) -> OrderCapabilities:
        return self._counter.capabilities

    async def authenticate(self) -> Sequence[str]:
        return await self._ask(lambda: self._counter.rights(self._line))

    async def place(self, wish: OrderRequest, priority: Priority = Priority.NEW) -> Verdict:
        async def make() -> Sequence[Call]:
            return [self._counter.place(wish)]

        return await self._act(make)

    async def amend(self, key: OrderKey, wish: OrderRequest) -> Verdict:
        async def make() -> Sequence[Call]:
            await self._check_change(key, wish)
            return [self._counter.amend(await self._named(key), wish)]

        return await self._act(make)

    async def cancel(self, key: OrderKey) -> Verdict:
        async def make() -> Sequence[Call]:
            return self._counter.cancel(await self._named(key))

        return await self._act(make)

    async def cancel_all(self, symbol: str = "") -> Verdict:
        ways = [[call] for call in self._counter.cancel_all(symbol)]
        if not ways:
            try:
                found = await self.open_orders(symbol)
            except VenuemeshError as error:
                return OutcomeUnknown(f"what is open cannot be asked: {error.message}")
            for one in sorted({order.symbol for order in found}):
                keys = [
                    OrderKey(one, order.client_order_id, order.venue_order_id)
                    for order in found
                    if order.symbol == one
                ]
                of_symbol = self._counter.cancel_all(one) if not symbol else ()
                alone = [list(self._counter.cancel(key)) for key in keys]
                ways += [[call] for call in of_symbol] or alone
        acts = [await self._try(calls) for calls in ways]
        return _worst(self._done(receipt) for receipt in acts)

    async def find(self, key: OrderKey) -> VenueOrder | None:
        try:
            return await self._ask(lambda: self._counter.find(self._line, key))
        except Absent:
            return None

    async def open_orders(self, symbol: str = "") -> list[VenueOrder]:
        return await self._ask(lambda: self._counter.open_orders(self._line, symbol))

    async def fills(self, symbol: str, since_time_ns: int) -> list[VenueFill]:
        found = await self._ask(lambda: self._counter.fills(self._line, symbol, since_time_ns))
        once = {(fill.symbol, fill.fill_id): fill for fill in found}
        recent = [fill for fill in once.values() if fill.venue_time_ns >= since_time_ns]
        return sorted(recent, key=lambda fill: (fill.venue_time_ns, _in_order(fill.fill_id)))

    async def balances(self) -> list[VenueBalance]:
        found = await self._ask(lambda: self._counter.balances(self._line))
        return [one for one in found if one.total or one.free]

    async def positions(self) -> list[VenuePosition]:
        if not self.capabilities.has_positions:
            return []
        found = await self._ask(lambda: self._counter.positions(self._line))
        return [one for one in found if one.size]

    async def countdown(self, seconds: float) -> None:
        try:
            calls = self._counter.countdown(seconds)
        except Unsupported as error:
            raise NotSupported(
                str(error), service=self._line.venue_id, wanted="countdown"
            ) from error
        for call in calls:
            await self._line.ask(call)

    def follow(self) -> AsyncIterator[AccountEvent]:
        if self.socket is not None:
            self.socket.start()
        return UserStream(self._line, self._counter.hearing).events()

    async def close(self) -> None:
        if self.socket is not None:
            await self.socket.close()
        await self._line.close()

    async def _named(self, key: OrderKey) -> OrderKey:
        """With the venue's id, where nothing can be done without. Raises Absent."""
        if key.venue_order_id or not self._counter.by_venue_id_only:
            return key
        order = await self.find(key)
        if order is None:
            raise Absent(key.client_order_id)
        return OrderKey(key.symbol, key.client_order_id, order.venue_order_id)

    async def _check_change(self, key: OrderKey, wish: OrderRequest) -> None:
        """Raises Unsupported."""
        if not self.capabilities.amends_to_smaller_only:
            return
        order = await self.find(key)
        if order is not None and (order.price != wish.price or order.size <= wish.size):
            raise Unsupported("the venue changes an order to a smaller size only")

    async def _act(self, make: Callable[[], Awaitable[Sequence[Call]]]) -> Verdict:
        """Do something, once: of several calls the next one is made only when the order is not
        where the one before looked for it. What fails before that has done nothing."""
        try:
            await self._prepare()
            calls = await make()
        except Absent as error:
            return Rejected(orders_pb2.REJECT_REASON_OTHER, f"no such order: {error}")
        except Unsupported as error:
            return Rejected(orders_pb2.REJECT_REASON_NOT_SUPPORTED, str(error))
        except RateLimited as error:
            return Rejected(orders_pb2.REJECT_REASON_RATE_LIMIT, error.message)
        except UnknownInstrument as error:
            return Rejected(orders_pb2.REJECT_REASON_INSTRUMENT, error.message)
        except VenuemeshError as error:
            return Rejected(orders_pb2.REJECT_REASON_OTHER, f"not sent: {error.message}")
        return await self._try(calls)

    async def _try(self, calls: Sequence[Call]) -> Verdict:
        """One after the other, until the order is where it is looked for."""
        receipt: Verdict = OutcomeUnknown("nothing was done")
        for call in calls:
            receipt = await self._act_once(call, self._counter.receipt)
            if not self._is_absent(receipt):
                break
        return receipt

    async def _prepare(self) -> None:
        if not self._prepared:
            await self._read(self._counter.prepare(self._line))
            self._prepared = True

    async def _ask(self, make: Callable[[], Awaitable[Read]]) -> Read:
        await self._prepare()
        return await self._read(make())

    async def _read(self, question: Awaitable[Read]) -> Read:
        try:
            return await question
        except UNREADABLE as error:
            raise self._line.unreadable(error) from error

    def _done(self, receipt: Verdict) -> Verdict:
        """What is gone need not be cancelled."""
        return Accepted("") if self._is_absent(receipt) else receipt

    def _is_absent(self, receipt: Verdict) -> bool:
        absent = self._counter.errors.absent
        return isinstance(receipt, Rejected) and receipt.detail.startswith(tuple(absent))


def _worst(receipts: Iterable[Verdict]) -> Verdict:
    """Of several calls: what is unclear first, then what was refused."""
    worst: Verdict = Accepted("")
    for receipt in receipts:
        if isinstance(receipt, OutcomeUnknown):
            return receipt
        if isinstance(receipt, Rejected):
            worst = receipt
    return worst


def _in_order(fill_id: str) -> tuple[int, str]:
    return (int(fill_id), "") if fill_id.isdecimal() else (0, fill_id)
