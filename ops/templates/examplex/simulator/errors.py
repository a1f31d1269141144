"""Errors as Examplex writes them.

To change: the codes and texts; an exchange that takes orders also has ``rejections``.
"""

from collections.abc import Mapping

from kit.simulator.exchange.rest import ApiError, ApiErrors

FAILURES: Mapping[int, bytes] = {
    418: b'{"error":"banned"}',
    429: b'{"error":"too many requests"}',
    500: b'{"error":"internal error"}',
}
NO_SUCH_PATH = b'{"error":"no such path"}'


def invalid(name: str) -> ApiError:
    """A parameter cannot be read."""
    return ApiError("wrong parameter", status=400)


ERRORS = ApiErrors(
    rejections={},
    unavailable=ApiError("internal error", status=500),
    unknown_symbol=ApiError("unknown symbol", status=404),
    invalid=invalid,
)
