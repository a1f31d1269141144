"""Scoring models on the command line: training in a process of its own, files, tables."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.json_format import ParseDict, ParseError
from rich.table import Table
from venuemesh.advisor.v1 import scoring_models_pb2 as registry_pb2
from venuemesh.events.v1 import scoring_models_pb2

from ops.errors import OperationsError
from ops.project import ROOT
from ops.tables import table, time_text, word

PROCESS = "core.advisor.training_process"
USE_PREFIX = "SCORING_MODEL_USE_"
USES = ("in_force", "shadow", "retired")
FOREVER_NS = 2**63 - 1
ID_LENGTH_MIN = 8


def trained(url: str, strategy: str, start_ns: int, end_ns: int) -> str:
    """Train a model of the outcomes in a database. Returns it as JSON. Raises OperationsError."""
    request = {"database_url": url, "strategy": strategy, "start_ns": start_ns, "end_ns": end_ns}
    done = subprocess.run(
        [sys.executable, "-m", PROCESS],
        # The URL has a password, which no list of processes shows.
        input=json.dumps(request),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise OperationsError(f"no model was trained: {lines[-1]}")
    return done.stdout


def read_file(path: Path) -> scoring_models_pb2.ScoringModel:
    """Raises OperationsError."""
    try:
        return parsed(path.read_text())
    except (OSError, UnicodeDecodeError, ValueError, ParseError) as error:
        raise OperationsError(f"{path} is no file of a scoring model: {error}") from None


def parsed(text: str) -> scoring_models_pb2.ScoringModel:
    """Raises ValueError and ParseError."""
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    return ParseDict(content, scoring_models_pb2.ScoringModel())


def find(
    found: Iterable[registry_pb2.RegisteredScoringModel], model_id: str
) -> scoring_models_pb2.ScoringModel:
    """The registered model whose id begins so. Raises OperationsError."""
    models = [
        one.changed.assigned.model
        for one in found
        if len(model_id) >= ID_LENGTH_MIN
        and one.changed.assigned.model.model_id.hex().startswith(model_id)
    ]
    if len(models) != 1:
        raise OperationsError(
            f"{model_id!r} is neither a file nor the id of one registered model: allowed are"
            f" {ID_LENGTH_MIN} digits of the id or more, as `advisor models` shows it"
        )
    return models[0]


def report_line(model: scoring_models_pb2.ScoringModel) -> str:
    """How a model was trained, in one line."""
    report = model.report
    return (
        f"model {model.model_id.hex()[:16]} of {model.strategy}, features {model.feature_set}:"
        f" {report.outcomes} outcomes, Brier skill {report.brier_skill:+.4f}, log-loss"
        f" {report.log_loss:.4f} (base rate {report.base_log_loss:.4f}),"
        f" {report.purged_outcomes} purged"
    )


def models_table(found: Iterable[registry_pb2.RegisteredScoringModel]) -> Table:
    rows = (
        (
            model.strategy,
            model.model_id.hex()[:16],
            word(scoring_models_pb2.ScoringModelUse.Name(one.changed.assigned.use), USE_PREFIX),
            model.feature_set,
            str(model.report.outcomes),
            f"{model.report.brier_skill:+.4f}",
            time_text(one.changed_time_ns),
            one.changed.caller,
            one.changed.reason,
        )
        for one in found
        for model in (one.changed.assigned.model,)
    )
    names = ("strategy", "model", "use", "features", "outcomes", "Brier skill", "changed", "by")
    return table((*names, "reason"), rows)


def use_of(name: str) -> "scoring_models_pb2.ScoringModelUse.ValueType":
    return scoring_models_pb2.ScoringModelUse.Value(USE_PREFIX + name.upper())
