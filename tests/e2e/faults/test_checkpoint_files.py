"""The checkpoint, its lock and its folder: cut, closed, special, full, gone, replaced.

The ledger is the truth and the checkpoint its mirror: whatever becomes of the file, the
next `carsync sync` fetches only what is not staged, and `carsync status` says what to do.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions

from tests.e2e.conftest import LeaveUnfinished
from tests.support.effort import trials
from tests.support.oracle import Oracle
from tests.support.site import CARSYNC, Ended, Running, SimulatedSite, ask, await_that
from tests.support.site_templates import Shelf

pytestmark = pytest.mark.quick

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="ROOT ONLY: mounts a tmpfs, or makes files another user's"
)
_FREE_PASSES = "-dac_override,-dac_read_search"
UNPRIVILEGED = ["setpriv", f"--bounding-set={_FREE_PASSES}", f"--inh-caps={_FREE_PASSES}"]
"""Root may open any file; a command behind this may not (capabilities(7))."""


def checkpoint_of(site: SimulatedSite) -> Path:
    path = site.checkpoint_file
    assert path is not None
    return path


def assert_only_missing_pages_were_fetched(site: SimulatedSite, staged: set[int]) -> None:
    assert sorted(site.api.pages_read()) == sorted(set(range(1, site.pages() + 1)) - staged)


def status(site: SimulatedSite, expect: int) -> Ended:
    """Return what `carsync status` says, which must not be a traceback."""
    shown = site.run("status")
    assert shown.exit_code == expect, shown
    assert "Traceback" not in shown.said
    return shown


# ── the file ─────────────────────────────────────────────────────────────────


def test_a_checkpoint_cut_anywhere_never_keeps_a_run_from_being_resumed(
    site: SimulatedSite,
    leave_unfinished: LeaveUnfinished,
) -> None:
    oracle = Oracle(site)
    staged = leave_unfinished(site)
    path = checkpoint_of(site)
    whole = path.read_bytes()
    lengths = range(0, len(whole), max(1, len(whole) // trials(2, 60)))
    for length in [*lengths, len(whole) - 1]:
        path.write_bytes(whole[:length])
        shown = status(site, 2)
        assert "carsync: the checkpoint is " in shown.err
        assert "hint: run `carsync sync`: it writes a new checkpoint and resumes" in shown.said
    ended = oracle.recover()
    assert "the checkpoint is truncated; it will be replaced" in ended.said
    assert_only_missing_pages_were_fetched(site, staged)
    assert status(site, 0)


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("make", [pytest.param(_make_folder, marks=pytest.mark.long), _make_pipe])
def test_a_checkpoint_path_that_is_no_file_is_refused_and_left_alone(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished, make: Callable[[Path], None]
) -> None:
    oracle = Oracle(site)
    staged = leave_unfinished(site)
    path = checkpoint_of(site)
    make(path)
    mode = path.stat().st_mode
    assert "the checkpoint path is not a regular file" in status(site, 2).err
    ended = site.sync(expect=2)
    oracle.judge(ended)
    assert ended.report["problem"] == "the checkpoint path is not a regular file"
    assert "checkpoint.path" in ended.report["next_step"]
    assert path.stat().st_mode == mode
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    oracle.recover()
    assert_only_missing_pages_were_fetched(site, staged)


@pytest.mark.parametrize("dangling", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_symlink_is_replaced_and_what_it_points_to_left_alone(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished, dangling: bool
) -> None:
    oracle = Oracle(site)
    staged = leave_unfinished(site)
    path = checkpoint_of(site)
    elsewhere = site.folder / "elsewhere.json"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    if dangling:
        elsewhere.unlink()
        assert status(site, 0).out.startswith("carsync")
    else:
        assert "fetches only the pages that were not staged" in status(site, 0).said
    oracle.recover()
    assert_only_missing_pages_were_fetched(site, staged)
    assert not path.is_symlink()
    assert dangling != elsewhere.exists()
    assert dangling or elsewhere.read_bytes() == before


@contextmanager
def open_to_all(host: str) -> Iterator[None]:
    """Let everybody reach the server's socket, which lies in a folder of its user."""
    if not host.startswith("/"):
        yield
        return
    folder = Path(host)
    mode = folder.stat().st_mode
    folder.chmod(0o711)
    try:
        yield
    finally:
        folder.chmod(mode)


@needs_root
@pytest.mark.long
def test_another_user_s_files_are_no_obstacle_or_are_named(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished
) -> None:
    """The night after somebody ran carsync by hand as another user."""
    oracle = Oracle(site)
    staged = leave_unfinished(site)
    path = checkpoint_of(site)
    lock = path.with_name(f"{path.name}.lock")
    for file in (path, lock):
        os.chown(file, 65534, 65534)
    program = [*UNPRIVILEGED, *CARSYNC]

    shown = site.start("status", program=program).end()
    assert shown.exit_code == 2
    assert "cannot look at the lock of the checkpoint: permission denied" in shown.err
    refused = site.check(site.start("sync", "--json", program=program), 2)
    assert refused.report["problem"] == "cannot lock the checkpoint: permission denied"
    assert refused.report["detail"] == str(lock)
    assert "may have left files of root" in refused.report["hint"]
    assert site.api.log == []

    lock.unlink()
    shown = site.start("status", program=program).end()
    assert shown.exit_code == 2
    assert "cannot read the checkpoint: permission denied" in shown.err
    with open_to_all(extensions.parse_dsn(site.dsn)["host"]):
        ended = site.check(site.start("sync", "--json", program=program))
    oracle.judge(ended)
    assert_only_missing_pages_were_fetched(site, staged)
    assert path.stat().st_uid == os.geteuid()


# ── the disk ─────────────────────────────────────────────────────────────────


@contextmanager
def disk(site: SimulatedSite) -> Iterator[Path]:
    """Put the checkpoint on a small file system of its own and give its folder."""
    folder = site.folder / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("MOUNT ONLY: mounting a tmpfs is not allowed here")
    site.settings["checkpoint.path"] = str(folder / "cars.json")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(bytes(4096)):
            pass


def make_read_only(folder: Path) -> None:
    """Lay a read-only copy over the disk; a remount waits for open files, unlike the kernel's."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def empty(folder: Path) -> None:
    (folder / "ballast").unlink()


def make_writable(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


@needs_root
@pytest.mark.parametrize(
    ("spoil", "mend", "problem", "hint"),
    [
        (fill, empty, "no space left on device", "free space"),
        pytest.param(
            make_read_only, make_writable, "read-only", "read-only", marks=pytest.mark.long
        ),
    ],
)
def test_a_disk_that_fills_up_or_turns_read_only_in_the_middle_of_a_run(
    site: SimulatedSite,
    spoil: Callable[[Path], None],
    mend: Callable[[Path], None],
    problem: str,
    hint: str,
) -> None:
    oracle = Oracle(site)
    with disk(site) as folder:
        site.api.hold(after=10)
        running = site.start("sync", "--json")
        staged = site.await_staged(10)
        site.await_checkpoint(lambda state: state.pages_done == 10, "them in it")
        spoil(folder)
        ended = site.check(running, 2)
        site.api.release()
        oracle.judge(ended)
        assert problem in ended.report["problem"]
        assert hint in ended.report["next_step"]
        assert [path.name for path in folder.glob(".*")] == []
        assert "fetches only the pages that were not staged" in status(site, 0).said
        again = site.sync(expect=2)
        oracle.judge(again)
        assert problem in again.report["problem"]
        mend(folder)
        site.api.reset()
        oracle.recover()
        assert staged.isdisjoint(site.api.pages_read())


@needs_root
def test_a_disk_that_is_full_when_the_merge_is_over_is_told_and_undoes_nothing(
    site: SimulatedSite, shelf: Shelf
) -> None:
    with disk(site) as folder:
        shelf.fill(site)
        site.api.show(1)
        oracle = Oracle(site, snapshots=(1,))
        with merge_kept_waiting(site) as running:
            fill(folder)
        ended = site.check(running, 2)
        oracle.judge(ended)
        site.assert_exact(1)
        assert ended.report["problem"].startswith(
            "the table is in step with the feed, but cannot write the checkpoint: no space left"
        )
        assert ended.report["state"] == "complete"
        assert ended.counts["updated"]
        shown = status(site, 0)
        assert "finds out whether the merge was committed" in shown.said
        empty(folder)
        assert not oracle.recover().counts.get("updated")
        assert status(site, 0)


@contextmanager
def merge_kept_waiting(site: SimulatedSite) -> Iterator[Running]:
    """Give a run whose merge waits for a row that another session holds."""
    conn = psycopg2.connect(site.dsn)
    try:
        with conn.cursor() as cur:
            cur.execute("UPDATE public.cars SET title = title")
            running = site.start("sync", "--json")
            site.await_checkpoint(lambda state: state.state == "merging", "the merge")
            yield running
        conn.rollback()
    finally:
        conn.close()


# ── what disappears while a run is going on ──────────────────────────────────


def delete_checkpoint(path: Path) -> None:
    path.unlink()


def delete_lock(path: Path) -> None:
    path.with_name(f"{path.name}.lock").unlink()


def replace_lock(path: Path) -> None:
    delete_lock(path)
    path.with_name(f"{path.name}.lock").write_text("1\n")


def delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize(
    "vanish",
    [
        pytest.param(delete_checkpoint, marks=pytest.mark.long),
        pytest.param(delete_lock, marks=pytest.mark.long),
        pytest.param(replace_lock, marks=pytest.mark.long),
        delete_folder,
    ],
)
@pytest.mark.long
def test_what_vanishes_in_the_middle_of_a_run_comes_back_and_no_second_run_begins(
    site: SimulatedSite, vanish: Callable[[Path], None]
) -> None:
    oracle = Oracle(site)
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    site.await_staged(10)
    await_that(lambda: site.checkpoint_file, "the checkpoint")
    vanish(checkpoint_of(site))
    second = site.run("sync", "--json")  # the database lock is the authority
    assert second.exit_code == 75, second
    assert second.report["problem"].startswith("another run")

    def is_shown() -> bool:
        shown = site.run("status", "--json")
        return shown.exit_code == 0 and (shown.report["state"], shown.report["lock_held"]) == (
            "running",
            True,
        )

    await_that(is_shown, "the run in the status again")
    site.api.release()
    ended = site.check(running)
    oracle.judge(ended)
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs") == [(1,)]
    assert site.status()["state"] == "complete"


@pytest.mark.long
def test_a_stop_while_the_folder_is_gone_is_resumable(site: SimulatedSite) -> None:
    oracle = Oracle(site)
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    staged = site.await_staged(10)
    await_that(lambda: site.checkpoint_file, "the checkpoint")
    shutil.rmtree(checkpoint_of(site).parent)
    running.signal(signal.SIGTERM)
    site.api.release()
    oracle.judge(site.check(running, 143))
    assert site.status()["state"] == "interrupted"
    site.api.reset()
    oracle.recover()
    assert staged.isdisjoint(site.api.pages_read())
