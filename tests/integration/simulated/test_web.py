"""gRPC-web through the gateway, and Studio in a real headless browser."""

import struct
import urllib.request
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.live.v1 import live_pb2

from tests.integration.mesh import CALL_SECONDS_MAX, OWN_SERVICES, SYMBOL, VENUE
from tests.integration.web import studio_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

TRADE_ROWS_MIN = 5
TRAILER_FLAG = 0x80


def test_a_call_over_grpc_web(simulated):
    request = history_pb2.ListTradesRequest(venue=VENUE, symbol=SYMBOL, page_size=3)
    with web_call(simulated, "venuemesh.history.v1.History/ListTrades", request) as response:
        flag, payload = read_frame(response)
        answer = history_pb2.ListTradesResponse.FromString(payload)
        assert (flag, len(answer.trades)) == (0, 3)
        flag, trailers = read_frame(response)
        assert flag == TRAILER_FLAG
        assert b"grpc-status:0" in trailers.replace(b" ", b"")


def test_a_stream_over_grpc_web(simulated):
    selector = live_pb2.Selector(venue=VENUE, channels=[types_pb2.CHANNEL_QUOTES])
    request = live_pb2.SubscribeRequest(selectors=[selector])
    with web_call(simulated, "venuemesh.live.v1.Live/Subscribe", request) as response:
        rows = 0
        while rows < TRADE_ROWS_MIN:
            flag, payload = read_frame(response)
            assert flag == 0
            answer = live_pb2.SubscribeResponse.FromString(payload)
            rows += sum(len(batch.quotes.sequence) for batch in answer.batches)


def web_call(mesh, method, request):
    """Open a gRPC-web call, as a browser does."""
    payload = request.SerializeToString()
    headers = {
        "authorization": f"Bearer {mesh.token}",
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
    }
    url = f"http://{mesh.gateway}/{method}"
    body = struct.pack(">BI", 0, len(payload)) + payload
    called = urllib.request.Request(url, body, headers)
    return urllib.request.urlopen(called, timeout=CALL_SECONDS_MAX)


def read_frame(response):
    """Flag and payload of the next frame."""
    flag, length = struct.unpack(">BI", response.read(5))
    return flag, response.read(length)


@pytest.fixture(scope="module")
def studio(simulated):
    """The address of Studio."""
    return studio_of(simulated)


def test_the_index_page_loads(simulated, studio):
    shown = {"Authorization": f"Bearer {simulated.token}"}
    index = urllib.request.Request(studio, headers=shown)
    with urllib.request.urlopen(index, timeout=CALL_SECONDS_MAX) as response:
        html = response.read().decode()
    assert '<div id="root">' in html
    script = html.partition('src="/')[2].partition('"')[0]
    loaded = urllib.request.Request(studio + script, headers=shown)
    with urllib.request.urlopen(loaded, timeout=CALL_SECONDS_MAX) as response:
        assert "javascript" in response.headers["Content-Type"]


def test_the_market_moves(page, studio, tmp_path):
    page.goto(f"{studio}#/market/{VENUE}/{SYMBOL}/1m")
    rows = page.get_by_test_id("trade-row")
    rows.nth(TRADE_ROWS_MIN).wait_for()
    last_price = page.get_by_test_id("last-price")
    before = last_price.inner_text()
    page.wait_for_function(
        "before => document.querySelector('[data-testid=last-price]').innerText !== before",
        arg=before,
    )
    for side in ("bid", "ask"):
        best = page.locator(f"[data-testid=best-{side}][data-state=proven]")
        best.wait_for()
        assert as_number(best.inner_text()) > 0
    assert page.get_by_test_id("chart").locator("canvas").first.is_visible()
    page.screenshot(path=tmp_path / "studio.png")


def test_the_chart_moves(page, studio, simulated):
    page.goto(f"{studio}#/market/{VENUE}/{SYMBOL}/1s")
    page.get_by_test_id("trade-row").first.wait_for()
    chart = page.get_by_test_id("chart")
    before = chart.screenshot()
    simulated.wait_until(lambda: chart.screenshot() != before, "the chart is drawn again")
    assert chart.locator("canvas").first.is_visible()


def test_the_mesh_page_lists_every_service(page, studio):
    page.goto(f"{studio}#/mesh")
    for service in OWN_SERVICES:
        row = page.get_by_test_id(f"mesh-row-{service}")
        row.wait_for()
        assert row.get_attribute("data-state") == "serving", row.inner_text()


def as_number(text):
    """A price as it is written on the page."""
    return Decimal(text.replace(",", "").replace("\u2009", "").replace("\u00a0", ""))


def test_an_order_is_placed_and_cancelled_on_the_page(page, studio):
    page.goto(f"{studio}#/orders/{VENUE}")
    page.get_by_test_id("account-state").get_by_text("ready").wait_for()
    page.get_by_test_id("ticket-size").fill("0.01")
    page.get_by_test_id("ticket-price").fill("50000")
    page.get_by_test_id("ticket-review").click()
    words = page.get_by_test_id("review-text").inner_text()
    assert "0.01" in words
    assert "50000" in words
    assert page.get_by_test_id("open-order-row").count() == 0
    page.get_by_test_id("review-send").click()
    page.get_by_test_id("review-close").click()
    row = page.get_by_test_id("open-order-row")
    row.wait_for()
    assert "50000" in row.inner_text()
    page.get_by_test_id("order-cancel").click()
    row.wait_for(state="detached")
    assert "cancelled" in page.get_by_test_id("recent-order-row").first.inner_text().lower()


def test_a_group_is_placed_on_the_page(page, studio):
    page.goto(f"{studio}#/orders/{VENUE}")
    page.get_by_test_id("account-state").get_by_text("ready").wait_for()
    page.get_by_test_id("ticket-size").fill("0.01")
    page.get_by_test_id("ticket-price").fill("50000")
    page.get_by_test_id("ticket-alternative").fill("90000")
    page.get_by_test_id("ticket-review").click()
    words = page.get_by_test_id("review-text").inner_text()
    assert "at 50000" in words
    assert "rises to 90000" in words
    page.get_by_test_id("review-send").click()
    page.get_by_test_id("review-close").click()
    rows = page.get_by_test_id("open-order-row")
    rows.nth(1).wait_for()
    shown = rows.all_inner_texts()
    assert all("alternative of" in text for text in shown)
    assert sum("stop 90000" in text for text in shown) == 1
    for left in (1, 0):
        page.get_by_test_id("order-cancel").first.click()
        rows.nth(left).wait_for(state="detached")
    assert rows.count() == 0
