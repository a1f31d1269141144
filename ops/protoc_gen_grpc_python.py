"""A protoc plugin for gRPC stubs in Python, for ``buf generate``.

grpcio-tools has this plugin only inside its own protoc. Needs nothing but grpcio-tools.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def generate(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """The stubs of the requested files, or the error."""
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    with TemporaryDirectory() as name:
        folder, descriptors = Path(name, "out"), Path(name, "descriptors")
        folder.mkdir()
        descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        options = [f"--descriptor_set_in={descriptors}", f"--grpc_python_out={folder}"]
        if protoc.main(["protoc", *options, *request.file_to_generate]) != 0:
            response.error = "protoc rejected the contracts"
        for file in sorted(folder.rglob("*.py")):
            response.file.add(name=file.relative_to(folder).as_posix(), content=file.read_text())
    return response


if __name__ == "__main__":
    asked = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(generate(asked).SerializeToString())
