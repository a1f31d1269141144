"""The details of an error on its way to a caller."""

from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from kit.base.errors import DOMAIN, STATUS_DETAILS_KEY, VenuemeshError


def trailing_metadata(error: VenuemeshError, request_id: str = "") -> tuple[tuple[str, bytes], ...]:
    """The google.rpc.Status that goes with a gRPC status, as its trailing metadata. Errors about
    the request id of an order keep that one."""
    metadata = {"request_id": request_id, **error.metadata} if request_id else error.metadata
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    detail = any_pb2.Any()
    detail.Pack(info)
    status = status_pb2.Status(code=error.code.value[0], message=error.message, details=[detail])
    return ((STATUS_DETAILS_KEY, status.SerializeToString()),)
