"""Calls of a venue that place or cancel several orders at once, by REST.

The venue answers each order by itself. A row is read as the answer to a call for that order alone
would be, so the same codes mean the same. An order whose row is missing or unreadable is
OutcomeUnknown; the others are not affected.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from kit.base.request_budget import Priority
from kit.connector.orders.errors import DETAIL_MAX, OK
from kit.connector.orders.rest_session import (
    UNREADABLE,
    OrderApiRequest,
    RestSession,
    TooLate,
)
from kit.execution.contract import OrderKey, OutcomeUnknown, RequestRejected, Verdict


@dataclass(frozen=True, slots=True)
class BatchRow:
    """The answer for one order of a call. One of the ids may be empty."""

    client_order_id: str
    venue_order_id: str
    body: Any
    """What the venue answers to the same request for this order alone."""


class BatchApi(Protocol):
    """How requests for single orders become one request, and its answer rows. Pure."""

    place_method: str
    """The method of ``OrderApi.place`` whose requests can be joined; empty: none."""
    cancel_method: str
    """The same of ``OrderApi.cancel``."""

    def place(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        """Join requests that place orders. ``params``: of the single requests."""

    def cancel(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        """Join requests that cancel orders."""

    def rows(self, answer: Any) -> Sequence[BatchRow]:
        """The rows of an answer, in any order; none for an error of the whole call. Raises
        LookupError, ValueError and the like for an answer that is not as it should be."""


class BatchCalls:
    """The batch calls of one account."""

    def __init__(self, session: RestSession, api: BatchApi, read: Callable[[Any], Verdict]) -> None:
        """``read`` makes a verdict of the answer to a call for one order."""
        self.api = api
        self._session = session
        self._read = read

    async def send(
        self,
        join: Callable[[Sequence[Mapping[str, Any]]], OrderApiRequest],
        requests: Mapping[OrderKey, OrderApiRequest],
        priority: Priority,
    ) -> Mapping[OrderKey, Verdict]:
        """Join requests for single orders and send them, once. One that must not be sent any more
        when the turn of the call has come is left out. Returns a verdict for each."""
        late: dict[OrderKey, RequestRejected] = {}

        def joined() -> OrderApiRequest:
            for key, one in requests.items():
                if (verdict := one.too_late()) is not None:
                    late[key] = verdict
            params = [one.params for key, one in requests.items() if key not in late]
            if not params:
                raise TooLate(next(iter(late.values())))
            return replace(join(params), orders=len(params))

        answer = await self._session.send_many(joined, priority, self.api.rows)
        if not isinstance(answer, Sequence):
            await self._session.correct_clock(answer)
            return {key: late.get(key, answer) for key in requests}
        by_client_id = {row.client_order_id: row for row in answer if row.client_order_id}
        by_venue_id = {row.venue_order_id: row for row in answer if row.venue_order_id}
        return {
            key: late.get(key)
            or self._verdict(
                by_client_id.get(key.client_order_id) or by_venue_id.get(key.venue_order_id)
            )
            for key in requests
        }

    def _verdict(self, row: BatchRow | None) -> Verdict:
        if row is None:
            return OutcomeUnknown("the answer has no row for the order")
        errors = self._session.errors
        try:
            error = errors.find_error(row.body)
            return self._read(row.body) if error is None else errors.verdict(OK, error)
        except UNREADABLE as failure:
            return OutcomeUnknown(f"the row cannot be read: {failure!r}"[:DETAIL_MAX])
