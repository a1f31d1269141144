"""Access for a server that must not run as root, if root starts it."""

import os
import pwd
import stat
from pathlib import Path

SERVER_USER = "nobody"
"""A user that exists on every system."""

OTHERS_READ = stat.S_IROTH
OTHERS_ENTER = stat.S_IXOTH


def system_user() -> str | None:
    """The user of a server that refuses to run as root; None: the current user."""
    return SERVER_USER if os.geteuid() == 0 else None


def let_enter(folder: Path) -> None:
    """Let other users enter the folders above this one, without listing them."""
    for parent in folder.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & OTHERS_ENTER:
            parent.chmod(stat.S_IMODE(mode) | OTHERS_ENTER)


def let_read(folder: Path) -> None:
    """Let other users read this folder, if a strict umask at installation forbade it."""
    if folder.stat().st_mode & OTHERS_ENTER:
        return
    for entry in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(entry.stat().st_mode)
        enter = OTHERS_ENTER if mode & stat.S_IXUSR else 0
        entry.chmod(mode | OTHERS_READ | enter)


def give_folder(folder: Path, user: str) -> None:
    """Make the user the owner of a folder and its content, unless it is."""
    entry = pwd.getpwnam(user)
    if folder.stat().st_uid == entry.pw_uid:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
