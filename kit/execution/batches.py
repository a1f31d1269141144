"""Several independent orders in one request: each is approved, checked and answered by itself."""

from collections.abc import Sequence

from venuemesh.common.v1 import errors_pb2
from venuemesh.tradeflow.v1 import batches_pb2, signed_pb2

from kit.base.errors import BadRequest, StoreUnavailable, VenuemeshError
from kit.execution import order_admission, order_cancels
from kit.execution.account import Account
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import order_message

ORDERS_MAX = 20

Outcome = Order | VenuemeshError


async def place(
    account: Account, approved: Sequence[signed_pb2.ApprovedOrder]
) -> list[batches_pb2.OrderResult]:
    """Place the orders. Raises BadRequest for their number."""
    _check_count(approved)
    outcomes: list[Outcome | signed_pb2.ApprovedOrder] = []
    new: list[Order] = []
    try:
        outcomes.extend(_intended(account, one, new) for one in approved)
    except Exception:
        for order in new:
            account.state.index.remove(order)
        raise
    if new:
        try:
            await account.submitter.submit_intended(new)
        except StoreUnavailable as error:
            lost = {id(order) for order in new}
            outcomes = [error if id(one) in lost else one for one in outcomes]
    # A reduction waits for the outcome of the one before it: that is sent by now.
    return [await _placed(account, one) for one in outcomes]


async def cancel(
    account: Account, cancels: Sequence[batches_pb2.OrderCancel]
) -> list[batches_pb2.OrderResult]:
    """Cancel the orders. Raises BadRequest for their number."""
    _check_count(cancels)
    return list(map(_result, await order_cancels.cancel_many(account, cancels)))


def _intended(
    account: Account, approved: signed_pb2.ApprovedOrder, new: list[Order]
) -> Outcome | signed_pb2.ApprovedOrder:
    """The order of a request; a new one is added to ``new``. A reduction that has to wait for
    another one is returned as it is: it is verified again when it has waited."""
    try:
        order = account.submitter.find(approved.content, approved.request_id)
        if order is None:
            verified = order_admission.verify(account, approved)
            checked = order_admission.check(account, verified)
            if checked is None:
                return approved
            order = account.submitter.intend(
                verified, held_here=checked.held_here, is_reduction=checked.is_reduction
            )
            new.append(order)
    except VenuemeshError as error:
        return error
    return order


async def _placed(
    account: Account, outcome: Outcome | signed_pb2.ApprovedOrder
) -> batches_pb2.OrderResult:
    try:
        if isinstance(outcome, signed_pb2.ApprovedOrder):
            outcome = await order_admission.place(account, outcome)
        if isinstance(outcome, Order):
            await account.submitter.placed(outcome)
            if outcome.key not in account.state.index.orders:
                # It was placed by the same request, made twice at once.
                raise StoreUnavailable("the order was not written to the journal")
    except VenuemeshError as error:
        outcome = error
    return _result(outcome)


def _result(outcome: Outcome) -> batches_pb2.OrderResult:
    if isinstance(outcome, Order):
        return batches_pb2.OrderResult(order=order_message(outcome))
    return batches_pb2.OrderResult(error=order_error(outcome))


def order_error(error: VenuemeshError) -> batches_pb2.OrderError:
    """Why nothing was done, for one order of a request."""
    reason = errors_pb2.ErrorReason.Value(f"ERROR_REASON_{error.reason}")
    return batches_pb2.OrderError(reason=reason, message=error.message, metadata=error.metadata)


def _check_count(given: Sequence[object]) -> None:
    if 0 < len(given) <= ORDERS_MAX:
        return
    allowed = f"1 to {ORDERS_MAX} orders"
    text = f"the request has {len(given)} orders; allowed is {allowed}"
    raise BadRequest(text, field="orders", value=len(given), allowed=allowed)
