"""The bytes of batches and of packed blocks stay the same from version to version.

The texts were written by the code of November 2026. Streams and databases hold such bytes.
"""

import pytest

from kit.marketdata import native
from kit.marketdata.codec import decode, encode
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.channels import TABLES
from kit.marketdata.tests import golden_rows

needs_native = pytest.mark.skipif(native.library is None, reason="there is no C compiler")

COLUMNS = {
    "trades": (
        "5297010a0500010001001212a6edf205b4c21ea0edf205bec21e80f1f2051a0c18e0d403e0a71202"
        "80be9201220501020201012a2800c0791452aee9174002891452aee9178044981452aee917c086a7"
        "1452aee91700c9b61452aee91732280b917d1452aee9174bd38c1452aee9178b159c1452aee917cb"
        "57ab1452aee9170b9aba1452aee9173a11818aa6e40d0c828aa6e40d0d848aa6e40d"
    ),
    "text_trades": (
        "52490a0200001206e2ea0194eb011a04d00ffa01220202012a1000c0791452aee9174002891452ae"
        "e91732100b917d1452aee9174bd38c1452aee9173a0200004203612d314204c3bc2d32"
    ),
    "quotes": (
        "5a670a03000001120ba4edf2058cedf205a0c21e1a06d00fe807aa0b220ba6edf205beedf205a2c2"
        "1e2a0502a01fd804321800c0791452aee9174002891452aee9178044981452aee9173a180b917d14"
        "52aee9174bd38c1452aee9178b159c1452aee9174203050700"
    ),
    "tickers": (
        "6a4d0a0200013a1000c0791452aee9174002891452aee91742100b917d1452aee9174bd38c1452ae"
        "e9171206a6edf20588271a0580b6dc05002206e4ebf405d0282a05c09bd005003205aab4de7500"
    ),
    "marks": (
        "726e0a03000100321800c0791452aee9174002891452aee9178044981452aee9173a180b917d1452"
        "aee9174bd38c1452aee9178b159c1452aee917120988adfc3a00b4affc3a1a08e69dfc3ac6860300"
        "2204f90102002a1805c0791452aee91700000000000000000000000000000000"
    ),
    "candles": (
        "7a6d0a020001521000c0791452aee9174002891452aee9175a100b917d1452aee9174bd38c1452ae"
        "e9172207c0d0e80584c31e2a07b2ebf405e8c31e3207dccfe805d8c01e3a07a6edf205b6c31e4204"
        "fa01c80112033c901c1a1000f8616c4daee91700b0d43f69ade9174a020100"
    ),
}
INSTRUMENTS = {
    "trades": ["0a074254435553445410021805", "0a074554485553445410021804"],
    "text_trades": ["0a07534f4c5553445410021803"],
    "quotes": ["0a074254435553445410021803", "0a074554485553445410021802"],
    "tickers": ["0a074254435553445410021803", "0a0745544855534454"],
    "marks": ["0a074254435553445410032006", "0a074554485553445410012004"],
    "candles": ["0a074254435553445410021801", "0a07455448555344541002"],
}
"""Serialised instrument entries."""


@needs_native
@pytest.mark.parametrize("name", golden_rows.ROWS)
def test_encoded_rows_equal_earlier_bytes(name):
    draft = encode.rows(golden_rows.ROWS[name]())
    assert draft.columns.hex() == COLUMNS[name]
    assert [entry.SerializeToString().hex() for entry in draft.instruments] == INSTRUMENTS[name]


@pytest.mark.parametrize("name", golden_rows.ROWS)
def test_earlier_bytes_decode_to_the_rows(name):
    rows = golden_rows.ROWS[name]()
    (table,) = (table for table in TABLES.values() if table.rows is type(rows))
    batch = Batch.FromString(bytes.fromhex(COLUMNS[name]))
    batch.channel = table.channel
    for text in INSTRUMENTS[name]:
        batch.instruments.add().ParseFromString(bytes.fromhex(text))
    again = decode.rows_of(batch)
    assert type(again) is type(rows)
    assert Batch.FromString(encode.rows(again).columns) == Batch.FromString(
        encode.rows(rows).columns
    )
