"""A REST call as a dialect gets it."""

from kit.simulator.dialect import RestRequest


def test_a_header_is_found_in_any_case():
    request = RestRequest("GET", "/time", headers={"X-Api-KEY": "k", "other": "o"})
    assert request.header("x-api-key") == request.header("X-API-Key") == "k"
    assert request.header("Other") == "o"
    assert request.header("none") == ""
