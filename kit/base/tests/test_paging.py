"""Pages of lists in memory, and clients that read all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.registry.v1 import registry_pb2

from kit.base import paging
from kit.base.errors import BadPageToken, BadRequest


def order(service):
    return [service.instance.kind, service.instance.name]


def services(names):
    rows = [registry_pb2.Service(instance={"kind": name[0], "name": name}) for name in names]
    return sorted(rows, key=order)


class Registry:
    """Lists services that may change between two pages."""

    def __init__(self, rows):
        self.rows = rows
        self.calls = 0

    async def list_services(self, request, timeout):
        self.calls += 1
        page, token = paging.page_of(request, self.rows, order)
        return registry_pb2.ListServicesResponse(services=page, next_page_token=token)


@given(st.sets(st.text("abc", min_size=1, max_size=3)), st.integers(1, 5))
async def test_all_pages_together_are_the_list(names, size):
    registry = Registry(services(names))
    request = registry_pb2.ListServicesRequest(page_size=size)
    whole = await paging.whole_list(registry.list_services, request, timeout=1)
    assert list(whole.services) == registry.rows
    assert whole.next_page_token == ""
    assert registry.calls == max(1, -(-len(names) // size))


def test_a_row_that_is_gone_does_not_hide_others():
    rows = services("abcd")
    request = registry_pb2.ListServicesRequest(page_size=2)
    _, request.page_token = paging.page_of(request, rows, order)
    page, token = paging.page_of(request, [rows[0], *rows[2:]], order)
    assert (page, token) == (rows[2:], "")


def test_a_token_of_another_kind_of_position_is_refused():
    request = registry_pb2.ListServicesRequest()
    request.page_token = paging.make_token(request, [7])
    with pytest.raises(BadPageToken):
        paging.page_of(request, services("ab"), order)


def test_a_page_has_a_bound():
    request = registry_pb2.ListServicesRequest(page_size=paging.PAGE_SIZE_MAX + 1)
    with pytest.raises(BadRequest, match="page_size"):
        paging.page_of(request, [], order)
