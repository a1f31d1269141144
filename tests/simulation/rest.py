"""The REST interface of the venue: it executes calls, loses them, or answers wrongly.

A call that was made goes on when its process is dead.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from kit.connector.orders import fill_pages
from kit.connector.orders.attempts import AttemptObserver
from kit.connector.orders.batch_calls import BatchRow
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.connector.orders.rest_session import (
    CcxtPrivateApi,
    OrderApiRequest,
    RestSession,
    exact,
)
from kit.connector.orders.venue_api import VenueApi
from kit.connector.rest import ccxt_loader
from kit.connector.rest.ccxt_loader import _RateLimitObserver
from kit.execution.account_configuration import AccountConfiguration, ClockOffset
from kit.execution.contract import Credentials, RequestAccepted, StreamInterrupted
from kit.execution.orders import order_states
from tests.simulation.faults import (
    FAULTS,
    KEY_REJECTED,
    LIE,
    NOT_DONE,
    PASSING_CODES,
    QUERY_FAULTS,
    RARE_FAULTS,
    ROW_FAULTS,
)
from tests.simulation.venue import Refused
from venues.binance.errors import ERRORS

ccxt_loader._install_bare_packages()
from ccxt.base import errors as ccxt_errors  # noqa: E402  # without loading all exchanges

OK, ERROR = 200, 400
TRAVEL_S = 0.1
PAGE_SIZE = 3
"""Fills on a page."""
LATEST_S = 9.5
"""When a call that is executed late arrives at the latest."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a call; status 0: the connection breaks."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class RestInterface:
    """Answers the calls of one account."""

    def __init__(self, venue, faults, history, watch) -> None:
        self._venue, self._faults, self._history, self._watch = venue, faults, history, watch
        self._random = venue.random
        self._numbers = count()
        self._results = {}

    def call(self, operation, arguments):
        """Return a future of the answer to a call that leaves now."""
        answer = asyncio.get_running_loop().create_future()
        if operation in ("place", "place_many"):
            for request in arguments:
                self._watch.sent(request)
        fault = self._draw(operation, arguments)
        if operation in FAULTS:
            name = ", ".join(self._watch.name_of(one) for one in arguments if one) or "all"
            self._history.note(f"call {operation}", f"{name}{f': {fault.name}' if fault else ''}")
        is_late = fault is not None and fault.is_late
        travel_s = self._random.uniform(0, LATEST_S if is_late else TRAVEL_S)
        self._venue.later(travel_s, self._arrive, operation, arguments, fault, answer)
        return answer

    def result(self, answer):
        """The result in the decoded body of an answer."""
        return self._results.pop(int(answer["result"]))

    def _draw(self, operation, arguments):
        chance, faults = self._random, self._faults
        if faults.is_key_rejected:
            return KEY_REJECTED
        if (
            operation == "place"
            and chance.random() < faults.lies
            and self._watch.is_entry(arguments[0])
        ):
            self._watch.lies.add(arguments[0].client_order_id)
            return LIE
        if chance.random() >= faults.calls:
            return None
        if chance.random() < 0.01:
            return chance.choice(RARE_FAULTS)
        return chance.choice(FAULTS.get(operation, QUERY_FAULTS))

    def _arrive(self, operation, arguments, fault, answer):
        found = None
        executes = fault is None or fault.executes
        if executes is None:
            executes = self._random.random() < 0.5
        if executes:
            found = self._execute(operation, arguments)
        if fault is not None and fault.name != "executed late":
            found = self._faulty(fault, found)
        elif fault is not None:
            found = None
        if found is not None:
            travel_s = self._random.uniform(0, TRAVEL_S)
            self._venue.later(travel_s, _settle, answer, found)

    def _execute(self, operation, arguments):
        try:
            result = getattr(self, f"_{operation}")(*arguments)
        except Refused as error:
            return _error(ERROR, error.code, error.text)
        return self._success(result)

    def _success(self, result):
        number = next(self._numbers)
        self._results[number] = result
        return Answer(OK, json.dumps({"result": number}))

    def _faulty(self, fault, found):
        """The answer with a fault; None: there is none."""
        if not fault.status:
            return Answer(0) if self._random.random() < 0.5 else None
        if fault.is_half:
            return Answer(OK, (found.body if found else '{"resu')[:-3])
        if fault.codes:
            return _error(fault.status, self._random.choice(fault.codes), "as drawn")
        if fault is NOT_DONE:
            self._history.counts[fault.name] += 1
            return self._success(RequestAccepted(""))
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else {}
        return Answer(fault.status, fault.text, headers)

    def _place(self, request):
        truth = self._venue.place(request)
        order = truth.now if self._random.random() < 0.5 else None
        return RequestAccepted(truth.now.venue_order_id, order)

    def _amend(self, key, request):
        return RequestAccepted(self._venue.amend(key, request).now.venue_order_id)

    def _cancel(self, key):
        return RequestAccepted(self._venue.cancel(key).now.venue_order_id)

    def _cancel_all(self, symbol):
        self._venue.cancel_all()
        return RequestAccepted("")

    def _place_many(self, *requests):
        return [self._row(one, self._execute_row("place", one)) for one in requests]

    def _cancel_many(self, *keys):
        return [self._row(one, self._execute_row("cancel", one)) for one in keys]

    def _execute_row(self, operation, argument):
        """The body of a row; None: it is missing. Rows have faults of their own."""
        fault = (
            self._random.choice(ROW_FAULTS) if self._random.random() < self._faults.calls else ""
        )
        if fault == "rejected":
            return json.loads(_error(ERROR, self._random.choice(PASSING_CODES), "as drawn").body)
        body = json.loads(self._execute(operation, (argument,)).body)
        return {"row lost": None, "row without a form": {}}.get(fault, body)

    def _row(self, order, body):
        return BatchRow(order.client_order_id, getattr(order, "venue_order_id", ""), body)

    def _find(self, key):
        truth = self._venue.find(key)
        found = self._venue.visible(truth) if truth is not None else None
        if not self._venue.capabilities.finds_by_client_id and found and not _is_open(found):
            found = None
        if found is None:
            raise Refused("-2013", "Order does not exist.")
        return found

    def _open_orders(self, symbol):
        shown = map(self._venue.visible, self._venue.orders.values())
        return [one for one in shown if one is not None and _is_open(one)]

    def _fills(self, since_time_ns, until_time_ns, is_newest_first):
        """A page, with all fills of its last time."""
        fills = self._venue.visible_fills(since_time_ns, until_time_ns)
        if len(fills) <= PAGE_SIZE:
            return fills
        if is_newest_first:
            return [one for one in fills if one.venue_time_ns >= fills[-PAGE_SIZE].venue_time_ns]
        last_ns = fills[PAGE_SIZE - 1].venue_time_ns
        return [one for one in fills if one.venue_time_ns <= last_ns]

    def _balances(self):
        return self._venue.balances()

    def _positions(self):
        return self._venue.positions()

    def _configuration(self):
        return AccountConfiguration(position_mode="one_way", may_trade=True, excess_permissions=())


class _Transport:
    """What is below the observers of an exchange of ccxt: it makes the call."""

    def __init__(self, interface, budget) -> None:
        self._interface = interface
        self.request_budget = budget
        self.options = {}
        """Without a difference of the clocks: the client corrects none."""

    async def call(self, params):
        return await self.fetch(*params)

    async def fetch(self, operation, arguments):
        answer = await self._interface.call(operation, arguments)
        if not answer.status:
            raise ccxt_errors.NetworkError("the connection was reset")
        body = self.on_rest_response(answer.status, "", "", "", answer.headers, answer.body)
        if answer.status == 401:
            raise ccxt_errors.AuthenticationError(body)
        if answer.status == 429:
            raise ccxt_errors.RateLimitExceeded(body)
        if answer.status >= 500 or answer.status == 418:
            raise ccxt_errors.ExchangeNotAvailable(body)
        if answer.status >= ERROR:
            raise ccxt_errors.ExchangeError(body)
        try:
            return exact.decode(body)
        except ValueError:
            return body

    def on_rest_response(self, code, reason, url, method, headers, body, *rest):
        return body

    async def close(self):
        pass


class SimulatedExchange(AttemptObserver, _RateLimitObserver, _Transport):
    """The exchange of ccxt that one process has, with the observers of the real one."""


class SimulatedOrderApi:
    """Orders as requests."""

    def __init__(self, capabilities, interface) -> None:
        self.capabilities, self._interface = capabilities, interface

    def place(self, order):
        return _request("place", order)

    def amend(self, key, order):
        return _request("amend", key, order)

    def cancel(self, key):
        return [_request("cancel", key)]

    def cancel_all(self, symbol):
        return [_request("cancel_all", symbol)]

    def verdict(self, answer):
        return self._interface.result(answer)


class SimulatedBatchApi:
    """Several orders as one request."""

    place_method = cancel_method = "call"

    def __init__(self, interface) -> None:
        self._interface = interface

    def place(self, params):
        return _request("place_many", *(one for _, (one,) in params))

    def cancel(self, params):
        return _request("cancel_many", *(one for _, (one,) in params))

    def rows(self, answer):
        rows = [row for row in self._interface.result(answer) if row.body is not None]
        return sorted(rows, key=lambda row: row.client_order_id)


class SimulatedAccountApi:
    """Questions about the account, and about its configuration."""

    def __init__(self, interface, *, is_newest_first) -> None:
        self._interface, self._is_newest_first = interface, is_newest_first

    async def find(self, queries, key):
        return await self._ask(queries, "find", key)

    async def open_orders(self, queries, symbol):
        return await self._ask(queries, "open_orders", symbol)

    def fills(self, queries, symbol, since_time_ns, until_time_ns):
        make = fill_pages.newest_first if self._is_newest_first else fill_pages.oldest_first
        pages = self._fill_pages(queries, since_time_ns, until_time_ns)
        return make(pages, since_time_ns, until_time_ns)

    async def _fill_pages(self, queries, since_ns, until_ns):
        while True:
            is_newest_first = self._is_newest_first
            page = await self._ask(queries, "fills", since_ns, until_ns, is_newest_first)
            yield page
            if len(page) < PAGE_SIZE:
                return
            if is_newest_first:
                until_ns = page[0].venue_time_ns
            else:
                since_ns = page[-1].venue_time_ns + 1

    async def balances(self, queries):
        return await self._ask(queries, "balances")

    async def positions(self, queries):
        return await self._ask(queries, "positions")

    async def read(self, queries, symbols):
        return await self._ask(queries, "configuration")

    async def _ask(self, queries, operation, *arguments):
        return self._interface.result(await queries.ask("call", (operation, arguments)))


def execution_client(venue, interface, budget):
    """An execution client of a process, over the venue's REST interface and its stream."""
    account = SimulatedAccountApi(interface, is_newest_first=venue.lists_newest_fills_first)
    api = VenueApi(
        orders=SimulatedOrderApi(venue.capabilities, interface),
        account=account,
        configuration=account,
        stream=None,
        batches=SimulatedBatchApi(interface),
    )
    session = RestSession("fake", CcxtPrivateApi("", ERRORS), Credentials("main", {}), budget)
    session._exchange = SimulatedExchange(interface, budget)
    client = CcxtExecutionClient(session, api, "rest")

    async def follow():
        venue.stream = stream = asyncio.Queue()
        yield StreamInterrupted("the stream starts")
        while True:
            yield await stream.get()

    async def clock_offset():
        return ClockOffset(venue.clock.actual_ns() - venue.clock.time_ns(), uncertainty_ns=0)

    client.follow, client.clock_offset = follow, clock_offset
    return client


def _request(operation, *arguments):
    return OrderApiRequest("call", (operation, arguments))


def _error(status, code, text):
    return Answer(status, json.dumps({"code": int(code), "msg": text}))


def _settle(answer, found):
    if not answer.done():
        answer.set_result(found)


def _is_open(order):
    return order.state not in order_states.FINAL
