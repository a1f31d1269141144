"""In a clone, protoc and buf read the contracts and make stubs without anything of ours running."""

import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from ops.project import tool
from tests.tidy.project import ROOT, read_project

CLONED = ("proto/*", "buf*", "ops/protoc_gen_grpc_python.py")
GO_PACKAGES = "github.com/venuemesh/venuemesh/clients/go/gen"
SECONDS_MAX = 240
# Per language: the folder of its stubs, and the stubs of one contract.
STUBS = {
    "go": ("clients/go", ["gen/{1}.pb.go", "gen/{1}_grpc.pb.go"]),
    "typescript": ("gen/typescript", ["{0}_pb.ts"]),
    "python": ("gen/python", ["{0}_pb2.py", "{0}_pb2_grpc.py"]),
}


class Clone:
    """The files of a clone that the contracts are made of, and a python3 with grpcio-tools."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for file in read_project(ROOT):
            if file.matches(CLONED):
                target = folder / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.content)
        python = folder / "bin" / "python3"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["PATH"] = f"{self.folder / 'bin'}:{environment['PATH']}"
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    def contracts(self) -> list[str]:
        """The paths that protoc knows our files by."""
        own = (self.folder / "proto" / "venuemesh").rglob("*.proto")
        return sorted(file.relative_to(self.folder / "proto").as_posix() for file in own)

    def text(self, contract: str) -> str:
        return (self.folder / "proto" / f"{contract}.proto").read_text()

    def template(self, language: str) -> tuple[str, list[list[str]]]:
        """The template reduced to one language, and the commands of its plugins."""
        head, _, rest = (self.folder / "buf.gen.yaml").read_text().partition("plugins:\n  - ")
        folder, _ = STUBS[language]
        plugins = [plugin for plugin in rest.split("\n  - ") if f"out: {folder}\n" in plugin]
        local = [plugin.splitlines()[0] for plugin in plugins if plugin.startswith("local: [")]
        commands = [line.partition("[")[2].rstrip("]").split(", ") for line in local]
        return "\n  - ".join([f"{head}plugins:", *plugins]), commands


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone"))


def test_protoc_reads_all_files(clone: Clone):
    done = clone.run(
        "python3", "-m", "grpc_tools.protoc", "-Iproto", "-oall.binpb", *clone.contracts()
    )
    assert done.returncode == 0, done.stderr
    read = FileDescriptorSet.FromString((clone.folder / "all.binpb").read_bytes())
    assert sorted(file.name for file in read.file) == clone.contracts()
    for file in read.file:
        _, name, version, _ = file.name.split("/")
        assert file.options.go_package == f"{GO_PACKAGES}/{name}/{version};{name}{version}"


def test_buf_builds(clone: Clone):
    done = clone.run(tool("buf"), "build")
    assert done.returncode == 0, done.stderr


def generate(clone: Clone, language: str) -> None:
    """Skips the test where the plugins of the language cannot be had."""
    template, plugins = clone.template(language)
    for plugin in plugins:
        if shutil.which(plugin[0]) is None:
            pytest.skip(f"{plugin[0]} is not installed")
        if plugin[0] != "python3" and clone.run(*plugin, "--version").returncode != 0:
            pytest.skip(f"{plugin[-1]} cannot be downloaded")
    (clone.folder / "chosen.yaml").write_text(template)
    done = clone.run(tool("buf"), "generate", "--template", "chosen.yaml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", STUBS)
def test_buf_generates(clone: Clone, language: str):
    generate(clone, language)
    folder, names = STUBS[language]
    contracts = {path.removesuffix(".proto") for path in clone.contracts()}
    services = {path for path in contracts if "\nservice " in clone.text(path)}
    for name in names:
        for path in services if "grpc" in name else contracts:
            stub = name.format(path, path.removeprefix("venuemesh/"))
            assert (clone.folder / folder / stub).is_file()


def test_stubs_of_go_in_the_repository_are_current(clone: Clone):
    generate(clone, "go")
    made, kept = (
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.go")}
        for folder in (clone.folder / "clients/go/gen", ROOT / "clients/go/gen")
    )
    differing = sorted(str(path) for path in made.keys() | kept if made.get(path) != kept.get(path))
    assert not differing, "run PATH=.venv/bin:$PATH buf generate"


def test_stubs_of_python_can_be_imported(clone: Clone):
    generate(clone, "python")
    modules = [path.removesuffix(".proto").replace("/", ".") for path in clone.contracts()]
    imports = "; ".join(f"import {module}_pb2, {module}_pb2_grpc" for module in modules)
    path = f"import sys; sys.path.insert(0, 'gen/python'); {imports}"
    done = clone.run("python3", "-c", path)
    assert done.returncode == 0, done.stderr


def test_the_files_of_others_are_those_that_are_installed(clone: Clone):
    copies = sorted((clone.folder / "proto" / "google").rglob("*.proto"))
    assert copies
    for copy in copies:
        package = ".".join(copy.parent.relative_to(clone.folder / "proto").parts)
        assert copy.read_bytes() == files(package).joinpath(copy.name).read_bytes(), copy.name
