"""Columns of numbers and of symbols."""

import numpy as np
import pytest

from kit.marketdata.model.columns import NumberColumn, SymbolColumn


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1.25", "2.50"], [2, 0]),
        (["1.25", "2.5"], [2, 0]),
        ([], [0, 0]),
    ],
)
def test_a_symbol_without_rows_has_no_decimal_places(texts: list[str], expected: list[int]) -> None:
    symbols = SymbolColumn(["BTC/USDT", "DOGE/USDT"], np.zeros(len(texts), dtype=np.int64))
    assert symbols.most([NumberColumn.parse(texts)]) == expected
