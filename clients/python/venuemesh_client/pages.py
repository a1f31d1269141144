"""Methods that list, page by page."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol, TypeVar


class Page(Protocol):
    """A response of a method that lists."""

    @property
    def next_page_token(self) -> str:
        """Empty on the last page."""


Listed = TypeVar("Listed", bound=Page)


async def pages(
    list_page: Callable[[Any], Awaitable[Listed]], request: Any
) -> AsyncGenerator[Listed, None]:
    """Yield all pages of a method that lists: ``pages(client.history.ListTrades, request)``."""
    following = type(request)()
    following.CopyFrom(request)
    while True:
        page = await list_page(following)
        yield page
        if not page.next_page_token:
            return
        following.page_token = page.next_page_token
