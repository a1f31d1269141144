"""Generate the Python stubs under gen/ from proto/, when a contract has changed.

Run as ``python -m ops.grpc_stubs``. Typed gRPC stubs (.pyi) are made when the development
requirements are installed; the processes do not need them.
"""

import hashlib
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
GENERATED = ROOT / "gen"
THIRD_PARTY = GENERATED / "third_party"
STAMP = GENERATED / ".stamp"
GOOGLE_API_FILES = ("annotations.proto", "http.proto")


def site_packages() -> Path:
    """The folder that google.api's .proto files were installed into."""
    spec = find_spec("google.api.annotations_pb2")
    if spec is None or spec.origin is None:
        raise SystemExit("googleapis-common-protos is not installed: run ./venuemesh")
    return Path(spec.origin).parents[2]


def fingerprint(files: list[Path], typed: bool) -> str:
    """A digest of the contracts, the versions of the tools, and the kind of output."""
    digest = hashlib.sha256(f"typed={typed}".encode())
    for file in [ROOT / "requirements.lock", Path(__file__), *files]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def copy_google_api() -> None:
    """Copy google/api for buf, which then needs no schema registry."""
    target = THIRD_PARTY / "google" / "api"
    target.mkdir(parents=True, exist_ok=True)
    for name in GOOGLE_API_FILES:
        shutil.copyfile(site_packages() / "google" / "api" / name, target / name)


def compile_stubs(files: list[Path], typed: bool) -> None:
    """One protoc run over all files."""
    # Imported here, because it takes 0.1 s and most starts generate nothing.
    from grpc_tools import protoc

    include = Path(protoc.__file__).parent / "_proto"
    outputs = [f"--python_out={GENERATED}", f"--grpc_python_out={GENERATED}"]
    if typed:
        plugins = Path(sys.executable).parent
        outputs += [
            f"--plugin={plugins / 'protoc-gen-mypy'}",
            f"--plugin={plugins / 'protoc-gen-mypy_grpc'}",
            f"--mypy_out=quiet:{GENERATED}",
            f"--mypy_grpc_out=quiet:{GENERATED}",
        ]
    arguments = ["protoc", f"-I{PROTO}", f"-I{THIRD_PARTY}", f"-I{include}", *outputs]
    if protoc.main([*arguments, *map(str, files)]) != 0:
        raise SystemExit("protoc rejected the contracts; see the lines above")


def write_descriptor_set(files: list[Path]) -> None:
    """Write all contracts as one descriptor set, which Envoy's transcoder reads."""
    from grpc_tools import protoc

    include = Path(protoc.__file__).parent / "_proto"
    target = GENERATED / "venuemesh.binpb"
    arguments = ["protoc", f"-I{PROTO}", f"-I{THIRD_PARTY}", f"-I{include}"]
    options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={target}"]
    if protoc.main([*arguments, *options, *map(str, files)]) != 0:
        raise SystemExit("protoc rejected the contracts; see the lines above")


def generate() -> bool:
    """Generate gen/ if a contract has changed. Returns whether anything was generated."""
    files = sorted(PROTO.rglob("*.proto"))
    typed = (Path(sys.executable).parent / "protoc-gen-mypy_grpc").exists()
    wanted = fingerprint(files, typed)
    if STAMP.exists() and STAMP.read_text() == wanted:
        return False
    # Overwritten, not removed: running processes may still import them.
    GENERATED.mkdir(exist_ok=True)
    copy_google_api()
    compile_stubs(files, typed)
    write_descriptor_set(files)
    STAMP.write_text(wanted)
    return True


if __name__ == "__main__":
    generate()
