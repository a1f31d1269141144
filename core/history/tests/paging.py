"""Going through a list to its end."""


async def pages(call, request):
    """All rows of a list, page by page."""
    rows, token = await call(request)
    sizes = [len(rows)]
    while token:
        request.page_token = token
        more, token = await call(request)
        rows += more
        sizes.append(len(more))
    assert all(size == request.page_size for size in sizes[:-1])
    return rows
