"""Decides whether an approved order is taken, and submits it.

A reduction (``reductions``) is taken while the account agrees with its venue, in its turn. Every
other order also needs the order authority, market data, a sensible price and room in the limits.
On spot any sale of what is held is a reduction: it goes the ordinary way, and the way of reductions
only where it would be rejected.
"""

from collections.abc import Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.errors import (
    AccountNotReady,
    InvalidOrder,
    LimitExceeded,
    RequestIdReused,
    VenuemeshError,
)
from kit.execution.account import Account
from kit.execution.approval.verifier import VerifiedOrder
from kit.execution.checks import pre_trade_checks
from kit.execution.groups import group_rules
from kit.execution.orders.order import Order
from kit.execution.sending.order_amender import check_size
from kit.execution.sending.submitter import CheckedOrder

EXIT = orders_pb2.GROUP_ROLE_EXIT


def verify(account: Account, approved: signed_pb2.ApprovedOrder) -> VerifiedOrder:
    """Verify an order that is placed alone. Raises ApprovalRejected, InvalidOrder."""
    group_rules.check_alone(approved.content)
    return account.verify(approved, signed_pb2.OPERATION_PLACE)


async def place(account: Account, approved: signed_pb2.ApprovedOrder) -> Order:
    """Return the order of a request, or submit it, in its turn if it is a reduction. Raises
    AccountNotReady, ApprovalRejected, InvalidOrder, LimitExceeded, NotSupported, RequestIdReused,
    StoreUnavailable, UnknownInstrument."""
    order = account.submitter.find(approved.content, approved.request_id)
    if order is not None:
        return order
    verified = verify(account, approved)
    while (checked := check(account, verified)) is None:
        (verified,) = await _wait_for_turn(account, approved.content.symbol, [verified])
        # The same request may have waited twice.
        order = account.submitter.find(verified.content, verified.request_id)
        if order is not None:
            return order
    # Nothing may be awaited between the check and this: what it has found holds until here.
    return await account.submitter.submit(
        verified, held_here=checked.held_here, is_reduction=checked.is_reduction
    )


def check(account: Account, verified: VerifiedOrder) -> CheckedOrder | None:
    """Check an order that is to be submitted now; None if it may be a reduction and another one of
    the position is in flight. Raises as ``place``."""
    content, reductions = verified.content, account.reductions
    if not (content.reduce_only or verified.only_reduces):
        try:
            return _checked(account, verified, is_reduction=False)
        except (AccountNotReady, InvalidOrder, LimitExceeded):
            if reductions.must_wait(content):
                return None
            if not reductions.is_reduction(content):
                raise
            return _checked(account, verified, is_reduction=True)
    if reductions.must_wait(content):
        return None
    if verified.only_reduces:
        reductions.check(content)
    return _checked(account, verified, is_reduction=reductions.is_reduction(content))


async def place_group(account: Account, verified: Sequence[VerifiedOrder]) -> list[Order]:
    """Submit the orders of a group that are verified. The entry of a bracket counts, its exits
    reduce what it opens. Alternatives count each as an open order, and once as a position, unless
    they are reductions. Raises as ``place``."""
    reductions = account.reductions
    while any(reductions.must_wait(one.content) for one in verified):
        verified = await _wait_for_turn(account, verified[0].content.symbol, verified)
        # The same request may have waited twice, or another group with its id.
        known = find_group(account, [one.approved for one in verified])
        if known:
            return known
    for one in verified:
        if one.only_reduces:
            reductions.check(one.content)
    is_bracket = any(one.content.group.role == EXIT for one in verified)
    is_reduction = not is_bracket and all(reductions.is_reduction(one.content) for one in verified)
    account.check_ready(only_reduces=is_reduction)
    inputs = account.check_inputs(verified[0].content.symbol)
    members = group_rules.members(verified, inputs, is_reduction=is_reduction)
    if not is_reduction:
        counted = [one.content for one in verified if one.content.group.role != EXIT]
        account.limiter.check(counted, verified[0].approved.key_id)
    return await account.submitter.submit_group(members)


async def amend(account: Account, order: Order, verified: VerifiedOrder) -> None:
    """Amend an order with verified terms, in turn if it is being amended. An amendment that
    enlarges counts as an order. Raises as ``place``."""
    content = verified.content
    while await account.amender.wait_for_turn(order):
        verified = account.verify(verified.approved, signed_pb2.OPERATION_AMEND, order.key)
        # The same request may have waited twice.
        if account.amender.find(order, content, verified.request_id) is not None:
            return
    is_reduction = account.reductions.is_reduction(content, order)
    account.check_ready(only_reduces=is_reduction)
    account.amender.check(order, content)
    inputs = account.check_inputs(content.symbol)
    pre_trade_checks.check(content, inputs, is_amendment=True, is_reduction=is_reduction)
    if content.stop_price and Decimal(content.stop_price) != order.stop_price:
        pre_trade_checks.check_stop_side(content, inputs)
    members = account.state.index.groups.get(order.group_id, ())
    group_rules.check_amendment(order, content, members, inputs.best)
    check_size(order, pre_trade_checks.amount("size", content.size), content)
    if not is_reduction:
        account.limiter.check_amendment(order, verified.approved)
    try:
        await account.amender.amend(order, verified)
    except VenuemeshError:
        account.limiter.amendment_not_made(order, verified.request_id)
        raise


def find_group(account: Account, approved: Sequence[signed_pb2.ApprovedOrder]) -> list[Order]:
    """Return the orders of a group that was placed before; none of a new group. Raises
    RequestIdReused, InvalidOrder."""
    known = [(one, account.submitter.find(one.content, one.request_id)) for one in approved]
    found = [order for _, order in known if order is not None]
    if found and len(found) < len(known):
        request_id = next(one.request_id for one, order in known if order is not None)
        text = f"of the orders of the group only {request_id} is known"
        raise RequestIdReused(text, request_id=request_id)
    group_id = known[0][0].content.group.group_id
    if not found and group_id in account.state.index.groups:
        text = f"another group has the id {group_id}"
        allowed = "an id that no other group has"
        raise InvalidOrder(text, field="group.group_id", value=group_id, allowed=allowed)
    return found


async def _wait_for_turn(
    account: Account, symbol: str, verified: Sequence[VerifiedOrder]
) -> list[VerifiedOrder]:
    """Wait, and verify the orders again. Raises ApprovalRejected for an approval that is not valid
    any more: it may have expired, its key may be revoked, or another authority may have taken
    over."""
    await account.reductions.wait_for_turn(symbol)
    return [account.verify(one.approved, signed_pb2.OPERATION_PLACE) for one in verified]


def _checked(account: Account, verified: VerifiedOrder, *, is_reduction: bool) -> CheckedOrder:
    content = verified.content
    account.check_ready(only_reduces=is_reduction)
    inputs = account.check_inputs(content.symbol)
    held_here = pre_trade_checks.check(content, inputs, is_reduction=is_reduction)
    if not is_reduction:
        account.limiter.check([content], verified.approved.key_id)
    return CheckedOrder(verified, held_here, is_reduction)
