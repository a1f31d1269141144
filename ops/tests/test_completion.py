"""What shells complete, asked as bash asks."""

import os
import shutil
import subprocess
import sys

import pytest

from ops import cli
from ops.project import ROOT

BASH = shutil.which("bash")


def completed(line, tmp_path, **environment):
    """The completions of a line."""
    file = tmp_path / "answer"
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(file),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
    }
    command = [sys.executable, "-m", "ops.cli"]
    done = subprocess.run(command, env=os.environ | asked | environment, check=False)
    assert done.returncode == 0
    return {word.strip() for word in file.read_text().split("\n")}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("./venuemesh ", {*cli.COMMANDS}),
        ("./venuemesh st", {"status", "strategy"}),
        ("./venuemesh order ca", {"cancel", "cancel-all"}),
        ("./venuemesh order place kr", {"kraken"}),
        ("./venuemesh order place kraken BTC/USDT s", {"sell"}),
        ("./venuemesh run rec", {"recorder"}),
        ("./venuemesh export --chan", {"--channel"}),
        ("./venuemesh export --channel ti", {"tickers"}),
    ],
)
def test_commands_options_and_venues_are_completed(line, found, tmp_path):
    got = completed(line, tmp_path)
    assert got - {"-h", "--help", "--json", "--version"} == found


def test_profiles_are_completed(tmp_path):
    file = tmp_path / "profiles.toml"
    file.touch(mode=0o600)
    file.write_text('[near]\ngateway = "a"\n[far]\ngateway = "b"\n')
    line = "./venuemesh status --profile f"
    assert completed(line, tmp_path, VENUEMESH_PROFILES=str(file)) == {"far"}


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_bash_completes_with_the_script():
    text = """
        source <(./venuemesh completion bash)
        COMP_WORDS=(./venuemesh sta) COMP_CWORD=1 COMP_LINE="./venuemesh sta" COMP_POINT=15
        COMP_TYPE=9
        _python_argcomplete ./venuemesh
        printf '%s\\n' "${COMPREPLY[@]}"
        complete -p venuemesh
        """
    done = subprocess.run([BASH, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
    reply, bound = done.stdout.splitlines()
    assert (reply.strip(), bound.split()[-1]) == ("status", "venuemesh"), done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    assert "venuemesh" in capsys.readouterr().out
