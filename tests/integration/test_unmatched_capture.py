"""A capture that does not match the subscription of the connector is reported everywhere."""

import json
from pathlib import Path

import pytest

from tests.integration.mesh import NO_TRADING, new_folder, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

FRAMES = 40
BOOK = {
    "channel": "book",
    "type": "update",
    "data": [{"symbol": "BTC/USD", "bids": [{"price": 61800.1, "qty": 0.5}], "asks": []}],
}


def capture_file(folder: Path) -> Path:
    """A session that had subscribed to a book of ten levels; the connector wants a hundred."""
    result = {"channel": "book", "symbol": "BTC/USD", "depth": 10}
    reply = {"method": "subscribe", "result": result, "success": True}
    file = folder / "frames.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in [reply, *[BOOK] * FRAMES]) + "\n")
    return file


def test_a_capture_of_another_book_depth_is_reported_everywhere(tmp_path):
    arguments = (
        "--world",
        "replay",
        "--speed",
        "max",
        "--replay",
        f"kraken={capture_file(tmp_path)}",
    )
    with new_folder() as data, running(data, *arguments, *NO_TRADING) as mesh:
        mesh.wait_until(lambda: mesh.replay()["finished"], "the capture has been played")
        played = mesh.replay()
        assert (played["frames_fitting"], played["frames_not_subscribed"]) == (
            0,
            {"book-10 BTC/USD": FRAMES},
        )

        def detail() -> str:
            status = mesh.get("/v1/services/kraken/status")[1]["status"]
            return status["detail"] if status["state"] == "SERVICE_STATE_DEGRADED" else ""

        mesh.wait_until(lambda: "fit a subscription" in detail(), "the status gives the reason")
        assert f"0 of {FRAMES} frames fit a subscription" in detail()
        assert "venues.kraken.options" in detail()
        mesh.wait_until(lambda: detail() in mesh.output.read_text(), "the terminal shows it")
        assert any(detail() == line.get("detail") for line in mesh.log("simulator"))
