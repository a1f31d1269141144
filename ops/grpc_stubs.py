"""Generate the Python stubs under gen/ from proto/, when a contract has changed.

Run as ``python -m ops.grpc_stubs``. Typed gRPC stubs (.pyi) are made when the development
requirements are installed; the processes do not need them.
"""

import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
COMPILED = (PROTO / "venuemesh", PROTO / "buf")
"""The others are Google's, whose stubs are installed."""
GENERATED = ROOT / "gen"
STAMP = GENERATED / ".stamp"


def fingerprint(files: list[Path], typed: bool) -> str:
    """A digest of the contracts, the versions of the tools, and the kind of output."""
    digest = hashlib.sha256(f"typed={typed}".encode())
    for file in [ROOT / "requirements.lock", Path(__file__), *files]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def run_protoc(options: list[str], files: list[Path]) -> None:
    """Run protoc over the files."""
    # Imported here, because it takes 0.1 s and most starts generate nothing.
    from grpc_tools import protoc

    include = Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{include}", *options, *map(str, files)]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc rejected the contracts; see the lines above")


def compile_stubs(files: list[Path], typed: bool) -> None:
    """One protoc run over all files."""
    outputs = [f"--python_out={GENERATED}", f"--grpc_python_out={GENERATED}"]
    if typed:
        plugins = Path(sys.executable).parent
        outputs += [
            f"--plugin={plugins / 'protoc-gen-mypy'}",
            f"--plugin={plugins / 'protoc-gen-mypy_grpc'}",
            f"--mypy_out=quiet:{GENERATED}",
            f"--mypy_grpc_out=quiet:{GENERATED}",
        ]
    run_protoc(outputs, files)


def write_descriptor_set(files: list[Path]) -> None:
    """Write all contracts as one descriptor set, which Envoy's transcoder reads."""
    target = GENERATED / "venuemesh.binpb"
    options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={target}"]
    run_protoc(options, files)


def generate() -> bool:
    """Generate gen/ if a contract has changed. Returns whether anything was generated."""
    files = sorted(file for folder in COMPILED for file in folder.rglob("*.proto"))
    typed = (Path(sys.executable).parent / "protoc-gen-mypy_grpc").exists()
    wanted = fingerprint(sorted(PROTO.rglob("*.proto")), typed)
    if STAMP.exists() and STAMP.read_text() == wanted:
        return False
    # Overwritten, not removed: running processes may still import them.
    GENERATED.mkdir(exist_ok=True)
    compile_stubs(files, typed)
    write_descriptor_set(files)
    STAMP.write_text(wanted)
    return True


if __name__ == "__main__":
    generate()
