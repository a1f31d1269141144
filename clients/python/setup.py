"""Adds the stubs of the contracts of this clone to the package."""

from pathlib import Path

from grpc_tools import protoc
from setuptools import setup
from setuptools.command.build_py import build_py

PROTO = Path(__file__).resolve().parents[2] / "proto"
COMPILED = ("venuemesh", "buf")
"""The others are Google's, whose stubs are installed."""


class BuildWithStubs(build_py):
    """The package with the stubs beside it."""

    def run(self) -> None:
        super().run()
        files = [str(file) for name in COMPILED for file in (PROTO / name).rglob("*.proto")]
        include = Path(protoc.__file__).parent / "_proto"
        outputs = [f"--python_out={self.build_lib}", f"--grpc_python_out={self.build_lib}"]
        if protoc.main(["protoc", f"-I{PROTO}", f"-I{include}", *outputs, *sorted(files)]) != 0:
            raise SystemExit("protoc rejected the contracts; see the lines above")


setup(cmdclass={"build_py": BuildWithStubs})
