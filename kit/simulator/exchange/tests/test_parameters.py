"""Parameters from forms and JSON are texts."""

import pytest

from kit.simulator.exchange.parameters import form_parameters, json_parameters


def test_json_members_become_texts():
    body = b'{"a":"x","b":0.10,"c":1e-5,"d":[1,"y"],"e":{"f":true},"g":null}'
    expected = {"a": "x", "b": "0.10", "c": "0.00001", "d": "1,y", "e.f": "true"}
    assert json_parameters(body) == expected


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b'{"a":'])
def test_a_body_that_is_no_object_is_rejected(body: bytes):
    with pytest.raises(ValueError, match=r"."):
        json_parameters(body)


def test_a_form_keeps_empty_values():
    assert form_parameters(b"a=1&b=") == {"a": "1", "b": ""}
