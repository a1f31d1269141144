"""Requests beyond the limits of their contract are refused before they are served."""

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.live.v1 import live_pb2
from venuemesh.registry.v1 import registry_pb2
from venuemesh.supervisor.v1 import supervisor_pb2

from kit.base.errors import BadRequest
from kit.base.request_rules import check_of, checked

LONG = "x" * 65


def check(request):
    found = check_of(request.DESCRIPTOR)
    assert found is not None
    found(request)


@pytest.mark.parametrize(
    ("request_", "field", "allowed"),
    [
        (history_pb2.ListTradesRequest(symbol=LONG), "symbol", "at most 64 characters"),
        (history_pb2.ListTradesRequest(page_size=10_001), "page_size", "0 to 10000"),
        (history_pb2.ReadRequest(symbols=["A"] * 10_001), "symbols", "at most 10000 items"),
        (
            live_pb2.SubscribeRequest(selectors=[{}, {"venue": LONG}]),
            "selectors.venue",
            "at most 64 characters",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_beyond_a_limit_is_refused(request_, field, allowed):
    with pytest.raises(BadRequest) as caught:
        check(request_)
    metadata = caught.value.metadata
    assert (metadata["field"], metadata["allowed"]) == (field, allowed)


def test_a_request_at_its_limits_is_served():
    check(history_pb2.ListTradesRequest(symbol=LONG[:-1], page_size=10_000))
    check(live_pb2.SubscribeRequest(selectors=[{"channels": [types_pb2.CHANNEL_TRADES]}]))


def test_a_message_without_limits_needs_no_check():
    assert check_of(supervisor_pb2.StartVenueResponse.DESCRIPTOR) is None

    def behaviour(request, context):
        return request

    assert checked(behaviour, registry_pb2.UnregisterResponse.DESCRIPTOR) is behaviour
