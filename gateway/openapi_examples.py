"""Examples of messages, composed of an example for each field name.

One market runs through all of them: BTCUSDT at Binance, and an order of the account main. A test
reads every example as the message it is for.
"""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

_ORDER_ID = "8c1f4b0d2e7a49f6b3d5c8e1a2f40b97"
_TIME_NS = 1_767_225_600_000_000_000
_MINUTE_NS = 60_000_000_000

TEXT = {
    "account": "main",
    "address": "127.0.0.1:9101",
    "amount": "0.0802",
    "ask_price": "64250.2",
    "ask_size": "0.41",
    "asset": "USDT",
    "average_price": "64250.1",
    "base": "BTC",
    "bid_price": "64250.1",
    "bid_size": "1.2",
    "buy_volume": "3.1",
    "caller": "desk-3",
    "client_order_id": _ORDER_ID,
    "close": "64250.1",
    "contract_size": "1",
    "entry_price": "64190.0",
    "exchange": "Binance",
    "expected": "0.5",
    "expression": "ema(close, 12)",
    "failed_cards": "trades.gap",
    "file": "ema_cross.py",
    "fill_id": "4211873",
    "filled_size": "0.25",
    "first_token_id": "5b0d6c1e",
    "found": "0.25",
    "free": "10250.5",
    "grpc_services": "venuemesh.marketdata.v1.MarketData",
    "high": "64260.0",
    "hold_id": "margin-17",
    "hole_id": "binance-BTCUSDT-4211870",
    "interval": "1m",
    "intervals": "1m",
    "issued_by": "admin",
    "jwks": '{"keys": []}',
    "key_id": "desk-1",
    "kind": "venue",
    "level": "debug",
    "liquidation_price": "51200.0",
    "low": "64240.5",
    "mesh": "venuemesh",
    "mesh_id": "venuemesh",
    "metrics_address": "127.0.0.1:19101",
    "name": "binance",
    "notional_min": "5",
    "open": "64245.0",
    "platform_jwks": "",
    "position_size": "0",
    "price": "64250.1",
    "price_tick": "0.1",
    "quote": "USDT",
    "quote_volume": "321250.5",
    "repair_id": "nightly-1",
    "request_id": "rebalance-17",
    "revision": "7",
    "revoked_token_ids": "5b0d6c1e",
    "segment": "spot",
    "service_id": "binance",
    "settlement_asset": "USDT",
    "rule": "cross",
    "size": "0.25",
    "size_min": "0.00001",
    "size_step": "0.00001",
    "size_unit": "BTC",
    "skipped_cards": "orders.flatten",
    "stop_distance": "180.5",
    "strategy": "ema_cross",
    "symbol": "BTCUSDT",
    "token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJkZXNrLTMifQ.c2lnbmF0dXJl",
    "token_id": "5b0d6c1e",
    "total": "12000",
    "trade_id": "4211873",
    "unified_symbol": "BTC/USDT",
    "unrealized_profit": "15.02",
    "venue": "binance",
    "venue_order_id": "28457719",
    "venue_size": "0.4",
    "version": "0.1.0",
    "volume": "5",
    "world": "simulate",
}
LISTS = {
    "add_symbols": "ETHUSDT",
    "default_symbols": "BTCUSDT",
    "remove_symbols": "SOLUSDT",
    "symbols": "BTCUSDT",
}
NUMBERS: dict[str, float] = {
    "agreement": 1.0,
    "book_depth": 20,
    "checksum": 317_319_551,
    "connections_per_minute": 60.0,
    "count": 2,
    "coverage": 0.998,
    "covered_ns": _MINUTE_NS,
    "day_start_ns": _TIME_NS,
    "dead_man_ms": 15_000,
    "depth": 20,
    "end_time_ns": _TIME_NS + _MINUTE_NS,
    "epoch": 1_767_225_590_000,
    "events_per_second": 812.5,
    "expected_ns": _MINUTE_NS,
    "expires_time_ns": _TIME_NS + _MINUTE_NS,
    "fencing_epoch": 1,
    "freshness": 0.999,
    "heartbeat_interval_ms": 5_000,
    "interval_ms": 1_000,
    "lag_ms": 3.1,
    "memory_bytes": 94_371_840,
    "messages_per_second": 5.0,
    "page_size": 100,
    "port": 9_101,
    "requests_per_second": 20.0,
    "score": 0.997,
    "threshold": 0.6,
    "update_interval_ms": 250,
    "valid_s": 43_200,
    "window_end_ns": _TIME_NS + _MINUTE_NS,
    "window_start_ns": _TIME_NS,
}
ENUMS = {
    "AccountState": "ACCOUNT_STATE_READY",
    "BookState": "BOOK_STATE_PROVEN",
    "OrderState": "ORDER_STATE_FILLED",
    "OrderType": "ORDER_TYPE_LIMIT",
    "RepairState": "REPAIR_STATE_RUNNING",
    "ServiceState": "SERVICE_STATE_SERVING",
    "StrategyState": "STRATEGY_STATE_RUNNING",
    "SubscriptionState": "SUBSCRIPTION_STATE_LIVE",
}
"""Of other kinds the first value that means something."""
SET = {
    "dead_man_fired": False,
    "external": False,
    "held_here": False,
    "is_veto": False,
    "revoked": False,
}
LEFT_OUT = frozenset(
    {
        # Where a simple request or answer has none.
        "abstains_because", "as_of_time_ns", "buffer_bytes_max", "continues", "contract_value",
        "contract_value_asset", "credentials", "delivery", "detail", "doubt", "error",
        "expire_time_ns", "first_trade_id", "group", "group_id", "left_open", "message",
        "next_page_token", "notes", "page_token", "peer_cursor", "reason", "reject_reason",
        "resume_after", "stop_price", "target_client_order_id", "trade_id_text",
        "trailing_offset", "trust", "trust_revision", "unconnected", "under_way", "whole",
    }
)  # fmt: skip
DEPTH_MAX = 8
_TEXT_KINDS = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}
_FLOAT_KINDS = {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}


def of_message(message: Descriptor, depth: int = 0) -> dict[str, Any]:
    """An example of a message as JSON, with field names as in the contract."""
    shown: dict[str, Any] = {}
    choices: set[str] = set()
    for field in message.fields:
        choice = field.containing_oneof
        if field.name in LEFT_OUT or (choice is not None and choice.name in choices):
            continue
        if choice is not None:
            choices.add(choice.name)
        value = of_field(field, depth)
        if value is not None:
            shown[field.name] = value
    return shown


def of_field(field: FieldDescriptor, depth: int = 0) -> Any:
    """An example of a field, or None where it is left out."""
    if field.name in LEFT_OUT or depth > DEPTH_MAX:
        return None
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return {"malformed_frames_total": 0} if field.name == "counters" else {}
    one = of_message(inner, depth + 1) if inner is not None else _scalar(field)
    return [one] if field.is_repeated else one


def _scalar(field: FieldDescriptor) -> Any:
    name, kind = field.name, field.cpp_type
    if field.enum_type is not None:
        return ENUMS.get(field.enum_type.name, field.enum_type.values[1].name)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return SET.get(name, name != "post_only" and name != "reduce_only")
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return "AAECAw=="
        return LISTS.get(name) or TEXT.get(name, "")
    number = NUMBERS.get(name, _TIME_NS if name.endswith("_time_ns") else 1)
    if kind in _TEXT_KINDS:
        return str(int(number))
    return float(number) if kind in _FLOAT_KINDS else int(number)
