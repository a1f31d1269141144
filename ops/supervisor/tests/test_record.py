"""A recorded past is named in one word, and refused in one line."""

from dataclasses import replace
from pathlib import Path

import pytest

from kit.base.settings import MeshSettings
from ops import ports
from ops.errors import OperationsError
from ops.supervisor import data_folder
from ops.supervisor.mesh import Mesh
from ops.supervisor.options import MeshOptions, check, parse_replays
from ops.supervisor.playback_source import PlaybackSource

OPTIONS = MeshOptions(world="replay", venues=("binance",), data=Path("/data"), speed="max")
PORTS = ports.assign({"binance": 5060}, base_port=9400)


def test_a_folder_with_a_time_range_and_symbols():
    (record,) = parse_replays(["binance=store:/a/data?from=2024-08-08&symbols=A,B"]).records
    assert record == PlaybackSource("binance", Path("/a/data"), "2024-08-08", "", "A,B")


def test_a_url_keeps_parameters_that_are_not_ours():
    text = "binance=store:postgresql://u:p@host:5433/db?sslmode=require&from=5&to=9"
    (record,) = parse_replays([text]).records
    assert record.store == "postgresql://u:p@host:5433/db?sslmode=require"
    assert (record.from_time, record.to_time, record.symbols) == ("5", "9", "")
    assert record.own_folder is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("binance=store:/a?from=yesterday", "from=yesterday"),
        ("binance=store:/a?since=5", "since"),
    ],
)
def test_ambiguous_input_is_rejected(text, words):
    with pytest.raises(OperationsError, match=words):
        parse_replays([text])


def test_a_record_is_played_instead_of_the_venue(tmp_path):
    record = PlaybackSource("binance", tmp_path, to_time="9", symbols="A,B")
    mesh = Mesh(replace(OPTIONS, records=(record,)), PORTS, MeshSettings())
    services = {service.name: service for service in mesh.services()}
    assert "simulator" not in services
    assert str(tmp_path / "postgres" / "cluster") in services["record"].command.arguments
    venue = services["binance"].command
    assert venue.arguments[-2:] == ("run", "playback")
    reported = {
        name.removeprefix("VENUEMESH_PLAYBACK_"): value
        for name, value in venue.environment.items()
        if "PLAYBACK" in name
    }
    assert reported == {
        "PORT": str(PORTS["binance"]),
        "VENUE": "binance",
        "DATABASE_URL": f"postgresql://venuemesh_reader@127.0.0.1:{PORTS['record']}/venuemesh",
        "FROM_TIME": "",
        "TO_TIME": "9",
        "SYMBOLS": "A,B",
        "SPEED": "max",
    }


def test_a_url_needs_no_server_of_ours():
    record = PlaybackSource("binance", "postgresql://host/db")
    mesh = Mesh(replace(OPTIONS, records=(record,)), PORTS, MeshSettings())
    assert "record" not in {service.name for service in mesh.services()}
    assert "record" not in mesh.own_ports()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"records": (PlaybackSource("binance", Path("/nowhere")),)}, "no data folder of a mesh"),
        ({"records": (PlaybackSource("binance", Path("/data")),)}, "played into itself"),
        ({"records": (PlaybackSource("kraken", Path("/a")),)}, "needs a file"),
        (
            {"world": "simulate", "records": (PlaybackSource("binance", Path("/a")),)},
            "--world replay",
        ),
        ({"records": (PlaybackSource("binance", "postgresql://127.0.0.1:1/x"),)}, "is away"),
    ],
)
def test_a_store_that_cannot_be_played_is_rejected(options, words):
    with pytest.raises(OperationsError, match=words) as refusal:
        check(replace(OPTIONS, **options), ["binance", "kraken"])
    assert len(str(refusal.value).splitlines()) == 1


def test_a_venue_that_was_never_recorded_is_rejected(postgres_url):
    options = replace(OPTIONS, records=(PlaybackSource("binance", postgres_url),))
    with pytest.raises(OperationsError, match="no data of the venue 'binance' are recorded"):
        check(options, ["binance"])


def test_a_folder_in_use_is_read_from_its_own_server(tmp_path):
    record = PlaybackSource("binance", tmp_path)
    assert record.own_folder == tmp_path
    with data_folder.locked(tmp_path):
        assert record.own_folder is None
