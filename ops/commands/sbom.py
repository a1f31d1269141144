"""``./venuemesh sbom``: list what the images and Studio are made of, as CycloneDX."""

import argparse
from pathlib import Path

from ops.output import print_json
from ops.project import IMAGES, ROOT
from ops.temporary_tools import installed, output

PACKAGE = "cyclonedx-bom==7.5.0"
SPECIFICATION = "1.6"
STUDIO = "studio"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, nargs="?", default=ROOT / "sbom", metavar="DIR", help="default: sbom"
    )


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if NAME.cdx.json of each image and of Studio is written: all packages with version
    and hashes, from the locks. Raises OperationsError, for example without a network."""
    folder: Path = chosen.folder
    folder.mkdir(parents=True, exist_ok=True)
    with installed(PACKAGE) as programs:
        texts = {image: _image(programs / "cyclonedx-py", image) for image in IMAGES}
    texts[STUDIO] = _studio()
    for name, text in texts.items():
        file = folder / f"{name}.cdx.json"
        file.write_text(text)
        if chosen.json:
            print_json({"written": str(file)})
        else:
            print(f"{file} is written")
    return 0


def _image(program: Path, image: str) -> str:
    lock = f"requirements/{image}.lock"
    options = ["--spec-version", SPECIFICATION, "--output-reproducible", "--output-format", "JSON"]
    return output([str(program), "requirements", lock, "--pyproject", "pyproject.toml", *options])


def _studio() -> str:
    options = ["--sbom-format", "cyclonedx", "--sbom-type", "application", "--package-lock-only"]
    return output(["npm", "sbom", *options], folder=ROOT / STUDIO)
