"""gRPC reflection in both of its versions: new tools ask v1, older ones v1alpha.

grpcio-reflection has v1alpha only. The messages of v1 are the same, under another package.
"""

from collections.abc import Iterable

import grpc
from google.protobuf import descriptor_pool, json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2

ALPHA, V1 = "v1alpha", "v1"
SERVICE_NAME_V1 = reflection.SERVICE_NAME.replace(ALPHA, V1)


def serve(server: grpc.aio.Server, service_names: Iterable[str]) -> None:
    """Describe these services, and reflection itself, on the server."""
    names = [*sorted(service_names), reflection.SERVICE_NAME, SERVICE_NAME_V1]
    reflection.enable_server_reflection(names, server)
    _describe_v1()
    servicer = reflection.aio.ReflectionServicer(names)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods = {"ServerReflectionInfo": method}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE_NAME_V1, methods),)
    )


def _describe_v1() -> None:
    """Add the contract of v1 to the pool, as tools ask for every service that is listed."""
    alpha = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    text = json_format.MessageToJson(alpha).replace(ALPHA, V1)
    contract = json_format.Parse(text, FileDescriptorProto())
    descriptor_pool.Default().AddSerializedFile(contract.SerializeToString())
