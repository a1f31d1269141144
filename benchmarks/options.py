"""The input of the benchmarks."""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OperationsError

ROOT = Path(__file__).resolve().parent.parent
CAPTURE = Path("binance/btcusdt_20240808/frames.jsonl.gz")
MESH_RUNS_MAX = 3
"""Of a whole mesh, where nothing is compared: a run takes long."""
PEERS_PYTHON = ROOT / "benchmarks" / ".venv" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Options:
    """Chosen on the command line, or found."""

    runs: int
    frames: Path
    peers: Path | None
    """Interpreter of the peers' environment; None: their columns say that they are missing."""
    compares_tls: bool = False
    """Whether a mesh is measured without and with TLS between its processes."""

    @property
    def mesh_runs(self) -> list[bool]:
        """The runs of a benchmark of a whole mesh, each with or without TLS. What is compared is
        paired, and takes turns, so that neither always has the quieter machine."""
        if not self.compares_tls:
            return [False] * min(self.runs, MESH_RUNS_MAX)
        return [tls for pair in range(self.runs) for tls in (pair % 2 == 1, pair % 2 == 0)]

    @classmethod
    def find(
        cls, runs: int, frames: Path | None, peers: Path | None, compares_tls: bool = False
    ) -> "Options":
        """Raises OperationsError when there is no capture."""
        captures = Path(os.environ.get("VENUEMESH_CAPTURES", ROOT.parent / "shared" / "captures"))
        chosen = frames or captures / CAPTURE
        if not chosen.exists():
            raise OperationsError(f"no capture at {chosen}: name one with --frames")
        interpreter = peers or PEERS_PYTHON
        found = interpreter if interpreter.exists() else None
        return cls(runs, chosen, found, compares_tls)

    def lines(self) -> list[bytes]:
        """The frames, one per line."""
        return _read(self.frames).splitlines()

    def received_times_ns(self) -> list[int]:
        """The received time of each frame. Raises OperationsError if the capture has none."""
        found = sorted(self.frames.parent.glob("recv_ns.txt*"))
        if not found:
            raise OperationsError(f"no recv_ns.txt beside {self.frames}")
        return [int(line) for line in _read(found[0]).split()]


def _read(file: Path) -> bytes:
    data = file.read_bytes()
    return gzip.decompress(data) if file.suffix == ".gz" else data
