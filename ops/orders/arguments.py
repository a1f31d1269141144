"""What ``./venuemesh order`` is asked to do."""

import argparse
import secrets
from pathlib import Path
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.checks.self_trades import MODES
from kit.execution.contract import SelfTradePrevention
from ops import gateway, venues
from ops.arguments import add_verbs
from ops.errors import OperationsError
from ops.orders import costs

SIDES = {"buy": types_pb2.SIDE_BUY, "sell": types_pb2.SIDE_SELL}
LIFETIMES = {
    "gtc": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "ioc": orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    "fok": orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
}
SELF_TRADES = {name.replace("_", "-"): mode for name, mode in MODES.items()}
AMENDED_FIELDS = ("size", "price", "stop_price", "trailing_offset")
PROPOSAL_VERBS = ("proposals", "confirm", "decline")
ID_BYTES = 8
EPOCH_MAX = (1 << 64) - 1
KEY_VARIABLE = "VENUEMESH_ORDER_KEY"
KEY_ID_VARIABLE = "VENUEMESH_ORDER_KEY_ID"
ACCOUNT = "demo"
"""That of the simulated exchange."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    place = _signed_verb(verbs, "place", "place an order")
    _add_what(place)
    place.add_argument("--price", default="", help="limit price; without one it is a market order")
    waking = place.add_mutually_exclusive_group()
    waking.add_argument("--stop", default="", metavar="PRICE", help="wakes there, as a stop")
    waking.add_argument(
        "--take-profit", default="", metavar="PRICE", help="wakes there, for a gain"
    )
    waking.add_argument("--trail", default="", metavar="DISTANCE", help="a stop that follows")
    place.add_argument("--lifetime", choices=LIFETIMES, default="", help="default: gtc")
    place.add_argument("--post-only", action="store_true", help="only as maker")
    _add_groups(verbs)
    _add_amend(verbs)
    _add_order_id(_signed_verb(verbs, "cancel", "cancel an order"))
    cancel_all = _signed_verb(verbs, "cancel-all", "cancel all that is open")
    _add_symbol(cancel_all)
    cancel_all.add_argument(
        "--include-protective",
        action="store_true",
        help="stops and exits too, with the role operator; a key includes them",
    )
    _add_flatten(verbs)
    _signed_verb(verbs, "heartbeat", "say that the order authority lives, once")
    _add_order_id(_verb(verbs, "show", "one order with all that is known of it"))
    _add_symbol(_verb(verbs, "list", "orders that are not final"))
    _add_symbol(_verb(verbs, "fills", "the newest fills"))
    _verb(verbs, "balances", "what the account has")
    _verb(verbs, "positions", "what the account holds of derivatives")
    _verb(verbs, "accounts", "the accounts, and whether they take orders")
    costs.add_arguments(verbs)
    _add_proposals(verbs)
    _verb(verbs, "watch", "what happens to the account, until Ctrl-C")


def content(chosen: argparse.Namespace) -> orders_pb2.OrderContent:
    """The order that is to be placed."""
    return orders_pb2.OrderContent(
        venue=chosen.venue,
        account=chosen.account,
        symbol=chosen.symbol,
        side=SIDES[chosen.side],
        type=_type(chosen),
        size=chosen.size,
        price=chosen.price,
        stop_price=chosen.stop or chosen.take_profit,
        trailing_offset=chosen.trail,
        time_in_force=LIFETIMES.get(chosen.lifetime, orders_pb2.TIME_IN_FORCE_UNSPECIFIED),
        post_only=chosen.post_only,
        reduce_only=chosen.reduce_only,
        self_trade_prevention=self_trade_prevention(chosen),
    )


def amended(order: orders_pb2.Order, chosen: argparse.Namespace) -> orders_pb2.OrderContent:
    """The content of an order after the amendment. Raises OperationsError if nothing changes."""
    changes = {name: getattr(chosen, name) for name in AMENDED_FIELDS if getattr(chosen, name)}
    if not changes:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in AMENDED_FIELDS)
        raise OperationsError(f"amend needs at least one of {options}")
    found = orders_pb2.OrderContent()
    found.CopyFrom(order.content)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def self_trade_prevention(chosen: argparse.Namespace) -> SelfTradePrevention:
    """UNSPECIFIED if it was not named."""
    return SELF_TRADES.get(chosen.self_trade, orders_pb2.SELF_TRADE_PREVENTION_UNSPECIFIED)


def request_id(chosen: argparse.Namespace) -> str:
    """As it was named, or a new one."""
    return chosen.id or secrets.token_hex(ID_BYTES)


def _type(chosen: argparse.Namespace) -> "orders_pb2.OrderType.ValueType":
    if chosen.trail:
        return orders_pb2.ORDER_TYPE_TRAILING_STOP
    if chosen.stop:
        limit, market = orders_pb2.ORDER_TYPE_STOP_LIMIT, orders_pb2.ORDER_TYPE_STOP
    elif chosen.take_profit:
        limit = orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT
        market = orders_pb2.ORDER_TYPE_TAKE_PROFIT
    else:
        limit, market = orders_pb2.ORDER_TYPE_LIMIT, orders_pb2.ORDER_TYPE_MARKET
    return limit if chosen.price else market


def _add_amend(verbs: Any) -> None:
    amend = _signed_verb(verbs, "amend", "change size or prices of an open order")
    _add_order_id(amend)
    amend.add_argument(
        "--size", default="", help="new size in the unit of the old one, filled part included"
    )
    amend.add_argument("--price", default="", help="new limit price")
    amend.add_argument("--stop-price", default="", metavar="PRICE", help="new stop price")
    amend.add_argument(
        "--trailing-offset", default="", metavar="DISTANCE", help="new distance of a trailing stop"
    )
    amend.add_argument(
        "--id", default="", metavar="REQUEST_ID", help="the same id is the same amendment"
    )


def _add_flatten(verbs: Any) -> None:
    flatten = _signed_verb(verbs, "flatten", "cancel all orders and close all positions")
    flatten.add_argument(
        "symbol", metavar="SYMBOL", nargs="?", default="", help="default: all positions"
    )
    flatten.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    flatten.add_argument(
        "--id", default="", metavar="REQUEST_ID", help="the same id continues the same work"
    )


def _add_proposals(verbs: Any) -> None:
    listed, confirm, decline = PROPOSAL_VERBS
    gateway.add_verb(verbs, listed, "what models have proposed, and waits for a confirmation")
    made = gateway.add_verb(verbs, confirm, "confirm a proposal: it is checked and sent now")
    made.add_argument("request_id", metavar="ID", help="request id, as proposals tells it")
    made = gateway.add_verb(verbs, decline, "decline a proposal: it has no effect then")
    made.add_argument("request_id", metavar="ID", help="request id, as proposals tells it")
    made.add_argument("--reason", default="", help="why; the model sees it")


def _add_groups(verbs: Any) -> None:
    bracket = _signed_verb(verbs, "bracket", "place an entry, and what closes it")
    _add_what(bracket)
    bracket.add_argument("--price", default="", help="of the entry; default: at market")
    oco = _signed_verb(verbs, "oco", "place alternatives: what one fills, the others do not")
    _add_what(oco)
    for group in (bracket, oco):
        group.add_argument("--profit", default="", metavar="PRICE", help="a limit order there")
        group.add_argument("--stop", default="", metavar="PRICE", help="a stop there")
        group.add_argument("--trail", default="", metavar="DISTANCE", help="a stop that follows")


def _add_what(made: argparse.ArgumentParser) -> None:
    made.add_argument("symbol", metavar="SYMBOL", help="as the venue writes it")
    made.add_argument("side", choices=SIDES)
    made.add_argument(
        "size",
        metavar="SIZE",
        help="in the size unit of the instrument: base units, quote units or contracts",
    )
    made.add_argument("--reduce-only", action="store_true", help="only to make a position smaller")
    made.add_argument(
        "--self-trade",
        choices=SELF_TRADES,
        default="",
        help="when it meets an own order; default: as the settings say",
    )
    made.add_argument(
        "--id", default="", metavar="REQUEST_ID", help="the same id is the same order or group"
    )


def _add_order_id(made: argparse.ArgumentParser) -> None:
    made.add_argument("client_order_id", metavar="ID", help="client order id, as list tells it")


def _add_symbol(made: argparse.ArgumentParser) -> None:
    made.add_argument("--symbol", default="", help="of one instrument only")


def _signed_verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    """A verb whose request is approved, by the inspector or with a key."""
    made = _verb(verbs, name, text)
    made.add_argument("--reason", default="", help="why; it is kept with the request")
    made.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help=f"own Ed25519 key in PEM, without the inspector; default: ${KEY_VARIABLE}",
    )
    made.add_argument(
        "--key-id", default="", help=f"its id in the approvers file; default: ${KEY_ID_VARIABLE}"
    )
    made.add_argument(
        "--epoch", type=_epoch, metavar="N", help="fencing epoch; default: the first one of the key"
    )
    return made


def _epoch(text: str) -> int:
    """An epoch as the contract has it. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal()) or int(text) > EPOCH_MAX:
        allowed = f"a whole number from 0 to {EPOCH_MAX}"
        raise argparse.ArgumentTypeError(f"{text!r} is no fencing epoch; allowed is {allowed}")
    return int(text)


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(name, help=text)
    venues.complete(made.add_argument("venue", metavar="VENUE", help="venue id"))
    made.add_argument("--account", default=ACCOUNT, help=f"default: {ACCOUNT}")
    gateway.add_arguments(made)
    return made
