"""The units and their installer: what systemd's own tools say, and what an operator keeps."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from carsync.cli.app import COMMANDS
from carsync.cli.sync import sync
from tests.support.folders import ROOT

UNITS = ROOT / "config" / "systemd"
INSTALLER = ROOT / "bin" / "install-systemd"
HUSH = "hush-7f3a"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environ},
    )


# the units


@needs_systemd
def test_systemd_finds_no_fault_in_the_units() -> None:
    units = [path for path in UNITS.iterdir() if path.suffix in {".service", ".timer"}]
    assert len(units) == 9
    named = [path.name.replace("@.", "@north.") for path in units]
    said = run("systemd-analyze", "verify", *(UNITS / name for name in named)).stderr
    # The one thing that is missing here is the installed command.
    faults = [line for line in said.splitlines() if "/opt/carsync/bin/" not in line]
    assert faults == []


@needs_systemd
@pytest.mark.parametrize(
    "unit",
    [
        "carsync.service",
        "carsync@.service",
        "carsync-incremental@.service",
        "carsync-alert@.service",
        "carsync-worker@.service",
        "carsync-scheduler.service",
    ],
)
def test_a_run_is_exposed_no_more_than_it_must_be(unit: str) -> None:
    said = run("systemd-analyze", "security", "--offline=true", "--threshold=13", UNITS / unit)
    found = re.search(r"Overall exposure level for .*: ([\d.]+)", said.stdout)
    assert found is not None, said.stderr
    assert float(found[1]) <= (1.3 if "alert" not in unit else 1.5)


def settings(unit: str) -> list[str]:
    lines = (UNITS / unit).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_template_is_the_service_with_another_name() -> None:
    def of_north(line: str) -> str:
        line = line.replace("/etc/carsync/prod", "/etc/carsync/north")
        line = line.replace("credentials/prod", "credentials/north").replace("@prod", "@north")
        if line.startswith("Description="):
            return f"{line} north"
        return line.replace("=carsync/prod", "=carsync/north")

    template = [line.replace("%i", "north") for line in settings("carsync@.service")]
    assert template == [of_north(line) for line in settings("carsync.service")]


def test_the_hourly_unit_is_the_nightly_one_but_for_its_task_and_its_ends() -> None:
    nightly, hourly = (set(settings(f"carsync{name}@.service")) for name in ("", "-incremental"))
    command = "ExecStart=/opt/carsync/bin/carsync sync --config /etc/carsync/%i.yaml"
    assert hourly - nightly == {
        "Description=carsync: bring the last changes of the feed %i into the listings table",
        f"{command} --mode incremental",
        "RuntimeMaxSec=55min",
    }
    assert nightly - hourly == {
        "Description=carsync: bring the listings table in step with the feed %i",
        f"{command} --mode full --wait 1h",
        "RuntimeMaxSec=2h",
        "StartLimitIntervalSec=12h",
        "StartLimitBurst=4",
        "Restart=on-abnormal",
        "RestartForceExitStatus=3 4 8 143",
        "RestartSec=5min",
    }
    assert "SuccessExitStatus=75 143" in hourly, "it yields to another run"


@pytest.mark.parametrize("name", ["carsync-worker@", "carsync-scheduler"])
def test_what_stands_is_confined_as_a_run_is_and_comes_back(name: str) -> None:
    run_s, own = (settings(f"{each}.service") for each in ("carsync@", name))
    confined = run_s[run_s.index("LimitCORE=0") :]
    assert confined == [line for line in own[own.index("LimitCORE=0") :] if line in confined]
    assert {"Type=exec", "Restart=always", "StartLimitIntervalSec=0"} <= set(own)
    assert {"RestartPreventExitStatus=2", "WantedBy=multi-user.target"} <= set(own)
    given = "scheduler" if "scheduler" in name else "%i"
    assert f"LoadCredential=carsync:/etc/carsync/credentials/{given}" in own
    (command,) = [line for line in own if line.startswith("ExecStart=")]
    words = command.partition("/opt/carsync/bin/carsync ")[2].split()
    assert words[1:] == ["--config", f"/etc/carsync/{given}.yaml"]
    assert words[0] in COMMANDS


def test_dask_can_be_loaded_in_every_unit_that_may_need_it() -> None:
    units = [unit for unit in UNITS.iterdir() if unit.is_file()]
    hidden = {unit.name for unit in units if "ProcSubset=pid\n" in unit.read_text()}
    assert hidden == set(), "psutil, and so Dask, reads /proc/meminfo"


def _minutes(span: str) -> int:
    """Return the minutes of a systemd.time(7) span."""
    number, unit = re.fullmatch(r"(\d+)(min|h)", span).groups()  # type: ignore[union-attr]
    return int(number) * (60 if unit == "h" else 1)


def test_the_nightly_run_waits_longer_than_an_hourly_one_can_last() -> None:
    text = "\n".join(settings("carsync@.service"))
    waits, lasts = (
        re.search(pattern, found)
        for pattern, found in (
            (r"--wait (\w+)", text),
            (r"RuntimeMaxSec=(\w+)", "\n".join(settings("carsync-incremental@.service"))),
        )
    )
    assert waits is not None
    assert lasts is not None
    assert _minutes(waits[1]) > _minutes(lasts[1])


@pytest.mark.parametrize("timer", ["carsync.timer", "carsync@.timer"])
def test_the_two_timers_of_a_feed_start_in_different_halves_of_the_hour(timer: str) -> None:
    nightly, hourly = settings(timer), settings("carsync-incremental@.timer")
    assert "OnCalendar=*-*-* 03:00:00" in nightly
    assert {"OnCalendar=*-*-* *:30:00", "RandomizedDelaySec=20min"} <= set(hourly)
    for each in (nightly, hourly):
        assert {"Persistent=true", "FixedRandomDelay=true", "AccuracySec=1min"} <= set(each)


def test_the_commands_of_the_units_exist() -> None:
    known = {option for each in sync.params for option in each.opts}
    for unit in UNITS.glob("carsync*.service"):
        for line in settings(unit.name):
            if line.startswith("ExecStart=") and "carsync sync" in line:
                assert set(re.findall(r"--[a-z-]+", line)) <= known


def test_resumable_ends_are_tried_again_and_the_others_are_not() -> None:
    service = settings("carsync.service")
    assert {"Restart=on-abnormal", "RestartForceExitStatus=3 4 8 143"} <= set(service)
    assert "SuccessExitStatus=75 143" in service
    assert {"Type=notify", "NotifyAccess=main", "KillMode=mixed"} <= set(service)


# the installer


def install(prefix: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return run(INSTALLER, *arguments, "--prefix", prefix, "--no-package", **environ)


def installed(prefix: Path) -> dict[str, str]:
    """Give every file below the prefix, and every link, with what it holds."""
    return {
        path.relative_to(prefix).as_posix(): str(path.readlink())
        if path.is_symlink()
        else path.read_text()
        for path in sorted(prefix.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


FOLDER = "usr/local/lib/systemd/system"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A root with a space in its name."""
    return tmp_path / "a root"


def test_a_look_changes_nothing_and_nobody_is_asked_in_vain(prefix: Path) -> None:
    looked = install(prefix, "install", "--dry-run")
    assert looked.returncode == 0
    assert "Dry run: nothing was changed." in looked.stdout
    assert f"new           /{FOLDER}/carsync.service" in looked.stdout
    unanswered = install(prefix, "install")
    assert (unanswered.returncode, "--yes" in unanswered.stderr) == (2, True)
    assert not prefix.exists()


@needs_systemd
def test_install_twice_then_a_second_feed_then_remove(prefix: Path) -> None:
    first = install(prefix, "install", "--yes", API_KEY=HUSH)
    assert first.returncode == 0, first.stderr
    assert HUSH not in first.stdout + first.stderr
    files = installed(prefix)
    for name in ("carsync.service", "carsync@.timer", "carsync-alert@.service"):
        assert files[f"{FOLDER}/{name}"] == (UNITS / name).read_text()
    assert files["etc/carsync/prod.yaml"] == (ROOT / "config" / "prod.yaml").read_text()
    assert files["etc/systemd/system/timers.target.wants/carsync.timer"]
    key = prefix / "etc/carsync/credentials/prod/API_KEY"
    assert key.read_text() == f"{HUSH}\n"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700

    (prefix / "etc/carsync/prod.yaml").write_text("mine: 1\n")
    again = install(prefix, "install", API_KEY="another")  # no --yes: there is nothing to ask
    assert again.returncode == 0, again.stderr
    assert "Nothing to do." in again.stdout
    assert installed(prefix) == {**files, "etc/carsync/prod.yaml": "mine: 1\n"}

    (prefix / "etc/carsync/north.yaml").write_text("api: {base_url: http://north.test}\n")
    before = installed(prefix)
    for command in ("install", "remove"):
        misspelt = install(prefix, command, "--instance", "nroth", "--yes")
        assert misspelt.returncode == 2
        assert "there is no feed nroth: /etc/carsync/nroth.yaml is missing" in misspelt.stderr
        assert "known feeds: north; for a new one: sudo install" in misspelt.stderr
    assert installed(prefix) == before

    second = install(prefix, "install", "--instance", "north", "--yes")
    assert second.returncode == 0, second.stderr
    assert "etc/systemd/system/timers.target.wants/carsync@north.timer" in installed(prefix)
    assert installed(prefix)["etc/carsync/north.yaml"] == before["etc/carsync/north.yaml"]

    assert run(INSTALLER, "remove", "--yes", "--prefix", prefix).returncode == 0
    left = ["credentials/prod/API_KEY", "north.yaml", "prod.yaml"]
    assert list(installed(prefix)) == [f"etc/carsync/{name}" for name in left]


@needs_systemd
def test_an_hourly_run_is_started_where_the_api_can_tell_changes(prefix: Path) -> None:
    described = prefix / "etc/carsync"
    described.mkdir(parents=True)
    (described / "prod.yaml").write_text("api:\n  window: {overlap: 15m}  # param: minutes\n")
    (described / "north.yaml").write_text("api:\n  window:\n    param: minutes\n")
    wanted = prefix / "etc/systemd/system/timers.target.wants"

    refused = install(prefix, "install", "--incremental", "--yes")
    assert refused.returncode == 2
    assert "/etc/carsync/prod.yaml has no api.window.param" in refused.stderr
    assert "hint: e.g. api: {window: {param: minutes}}" in refused.stderr
    assert not wanted.exists()
    plain = install(prefix, "install", "--yes")
    assert "incremental@prod.timer" not in plain.stdout, "it is not possible"

    north = install(prefix, "install", "--instance", "north", "--yes")
    assert "note          carsync-incremental@north.timer" in north.stdout
    assert "--incremental: an hourly incremental run" in north.stdout
    both = install(prefix, "install", "--instance", "north", "--incremental", "--yes")
    assert both.returncode == 0, both.stderr
    assert (
        "systemctl list-timers carsync@north.timer carsync-incremental@north.timer" in both.stdout
    )
    names = {"carsync.timer", "carsync@north.timer", "carsync-incremental@north.timer"}
    assert {path.name for path in wanted.iterdir()} == names
    again = install(prefix, "install", "--instance", "north", "--incremental")
    assert "Nothing to do." in again.stdout

    assert install(prefix, "remove", "--instance", "north", "--yes").returncode == 0
    assert {path.name for path in wanted.iterdir()} == {"carsync.timer"}
    assert (
        install(prefix, "install", "--instance", "north", "--incremental", "--yes").returncode == 0
    )
    assert install(prefix, "remove", "--yes").returncode == 0
    assert not wanted.exists()
    assert not [name for name in installed(prefix) if name.startswith("usr/")]


@needs_systemd
def test_a_worker_and_the_scheduler_are_started_instead_of_the_timer(prefix: Path) -> None:
    wanted = prefix / "etc/systemd/system/multi-user.target.wants"
    for role, missing in (("worker", "prod"), ("scheduler", "scheduler")):
        refused = install(prefix, "install", f"--{role}", "--yes")
        assert refused.returncode == 2
        assert f"/etc/carsync/{missing}.yaml is missing" in refused.stderr
    described = prefix / "etc/carsync"
    described.mkdir(parents=True)
    for name in ("prod", "north", "scheduler"):
        (described / f"{name}.yaml").write_text("engine: {type: dask}\n")

    secrets = {"API_KEY": HUSH, "CLUSTER_KEY": HUSH}
    for arguments in (["--scheduler"], ["--worker"], ["--worker", "--instance", "north"]):
        done = install(prefix, "install", *arguments, "--yes", **secrets)
        assert done.returncode == 0, done.stderr
        assert "sudo systemctl restart carsync-" in done.stdout
    names = {f"carsync-{name}.service" for name in ("scheduler", "worker@prod", "worker@north")}
    assert {path.name for path in wanted.iterdir()} == names
    assert not (wanted.parent / "timers.target.wants").exists(), "the sync is another machine's"
    keys = [path.name for path in (described / "credentials/scheduler").iterdir()]
    assert keys == ["CLUSTER_KEY"], "the scheduler gets no key of an API"
    assert {path.name for path in (described / "credentials/north").iterdir()} == set(secrets)

    assert install(prefix, "remove", "--yes").returncode == 0
    assert not [name for name in installed(prefix) if not name.startswith("etc/carsync/")]


def test_the_extra_is_installed_where_it_is_asked_for_and_kept(
    prefix: Path, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$*" in *base_prefix*) echo /usr ;; esac\n')
    python.chmod(0o755)

    def look(*arguments: str) -> str:
        done = run(INSTALLER, *arguments, "--prefix", prefix, "--dry-run", PYTHON=str(python))
        return done.stdout

    plain, cluster = look("install"), look("install", "--cluster")
    (release,) = re.findall(r"/opt/carsync/releases/(\S+-cluster)", cluster)
    assert "-cluster" not in plain
    folder = prefix / "opt/carsync"
    (folder / "releases" / "0.0.9-1-cluster" / "bin").mkdir(parents=True)
    (folder / "bin").symlink_to("releases/0.0.9-1-cluster/bin")
    (folder / "installed").write_text("")
    wanted = prefix / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True)
    (wanted / "carsync-worker@prod.service").symlink_to("/dev/null")
    upgrade = look("upgrade")
    assert f"/opt/carsync/releases/{release} " in upgrade
    assert "restart       carsync-worker@prod.service" in upgrade


def _has_window(prefix: Path, text: str) -> bool:
    (prefix / "etc/carsync").mkdir(parents=True, exist_ok=True)
    (prefix / "etc/carsync/prod.yaml").write_text(text)
    return install(prefix, "install", "--incremental", "--dry-run").returncode == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("api:\n  window: {param: minutes}\n", True),
        ("api: {window: {overlap: 15m, param: m}}\n", True),
        (
            "api:\n  window:\n    # how\n    overlap: 5m\n\n    param: 'since'  # as they say\n",
            True,
        ),
        ("api:\n  window:\n    param: null\n", False),
        ('api:\n  window: {param: ""}\n', False),
        ("api:\n  # window: {param: m}\n  path: /cars\n", False),
        ("api:\n  window:\n    overlap: 5m\n  auth:\n    param: x\n", False),
        ("", False),
    ],
)
def test_the_installer_sees_whether_changes_can_be_asked_for(
    prefix: Path, text: str, expected: bool
) -> None:
    assert _has_window(prefix, text) == expected


def test_the_next_steps_are_those_that_are_left(prefix: Path) -> None:
    described = prefix / "etc/carsync"
    described.mkdir(parents=True)
    (described / "own.yaml").write_text("api: {base_url: http://own.test} # not ${API_BASE_URL}\n")
    (described / "ours.yaml").write_text("api:\n  base_url: ${API_BASE_URL}\n")

    def next_steps(feed: str, **environ: str) -> str:
        done = install(prefix, "install", "--instance", feed, "--yes", **environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("Next:")[2]

    own = next_steps("own", DATABASE_URL=HUSH)
    assert "the address" not in own, "the file says it, and the variable would win"
    assert "credentials/own/API_KEY" in own
    assert "the database" not in own
    ours = next_steps("ours", API_KEY=HUSH)
    assert "sudo tee -a /etc/carsync/ours.env" in ours, "other lines of the file stay"
    assert "credentials/ours/DATABASE_URL" in ours
    assert "the key" not in ours
    (described / "ours.env").write_text("TZ=UTC\nAPI_BASE_URL=http://ours.test\n")
    assert "the address" not in next_steps("ours")


def test_an_upgrade_shows_what_changes_and_keeps_what_was_edited(prefix: Path) -> None:
    assert "not installed" in install(prefix, "upgrade").stderr
    assert install(prefix, "install", "--yes").returncode == 0
    older, edited = prefix / FOLDER / "carsync.service", prefix / FOLDER / "carsync.timer"
    drop_in = prefix / "etc/systemd/system/carsync.timer.d/override.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Timer]\nOnCalendar=04:00\n")
    edited.write_text(edited.read_text().replace("03:00:00", "05:00:00"))
    _age(older, prefix)

    upgraded = install(prefix, "upgrade", "--yes")
    assert upgraded.returncode == 0, upgraded.stderr
    assert "-# of an older release" in upgraded.stdout
    assert older.read_text() == (UNITS / "carsync.service").read_text()
    assert "05:00:00" in edited.read_text()
    assert edited.with_name("carsync.timer.new").read_text() == (UNITS / edited.name).read_text()
    assert "Nothing to do." in install(prefix, "upgrade").stdout

    status = install(prefix, "status").stdout
    assert re.search(r"edited +/\S+/carsync\.timer\n +drop-in +/\S+/override\.conf", status)
    assert install(prefix, "remove", "--yes").returncode == 0
    assert edited.exists()
    assert drop_in.exists()
    assert not older.exists()


def test_what_a_careful_root_installs_can_be_read_by_the_service(prefix: Path) -> None:
    words: list[str | Path] = [INSTALLER, "install", "--yes", "--prefix", prefix, "--no-package"]
    careful = run("sh", "-c", 'umask 077; exec "$@"', "sh", *words)
    assert careful.returncode == 0, careful.stderr
    secret = prefix / "etc/carsync/credentials"
    closed = {path for path in prefix.rglob("*") if not path.lstat().st_mode & 0o004}
    assert closed == {secret, secret / "prod"}


def test_a_signal_leaves_no_scratch_and_is_told(prefix: Path, tmp_path: Path) -> None:
    python, scratch = tmp_path / "python", tmp_path / "scratch"
    scratch.mkdir()
    lines = ('case "$*" in *base_prefix*) echo /usr ;;', "*venv*) kill -TERM $PPID ;; esac")
    python.write_text("\n".join(("#!/bin/sh", *lines)))
    python.chmod(0o755)
    command = (INSTALLER, "install", "--yes", "--prefix", prefix)
    ended = run(*command, PYTHON=str(python), TMPDIR=str(scratch))
    assert (ended.returncode, list(scratch.iterdir())) == (1, [])
    assert "run this again" in ended.stderr


def test_remove_leaves_a_clone_that_lies_where_releases_do(prefix: Path) -> None:
    opt = prefix / "opt/carsync"
    (opt / "bin").mkdir(parents=True)
    (opt / "bin/setup").write_text("mine")
    (opt / "releases/1").mkdir(parents=True)
    (opt / "releases/1/pyvenv.cfg").touch()
    assert run(INSTALLER, "remove", "--yes", "--prefix", prefix).returncode == 0
    assert (opt / "bin/setup").read_text() == "mine"
    assert not (opt / "releases").exists()


def test_newer_systemd_lets_the_pauses_between_tries_grow(prefix: Path, tmp_path: Path) -> None:
    newer = tmp_path / "systemctl"
    newer.write_text("#!/bin/sh\necho 'systemd 255 (255.4-1)'\n")
    newer.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert install(prefix, "install", "--yes", **environ).returncode == 0
    steps = (UNITS / "restart-steps.conf").read_text()
    for unit in ("carsync.service", "carsync@.service"):
        assert installed(prefix)[f"{FOLDER}/{unit}.d/10-restart-steps.conf"] == steps
    assert install(prefix, "remove", "--yes", **environ).returncode == 0
    assert not [name for name in installed(prefix) if name.startswith("usr/")]


def _age(unit: Path, prefix: Path) -> None:
    """Make the unit one that an older release installed."""
    unit.write_text(unit.read_text() + "# of an older release\n")
    manifest = prefix / "opt/carsync/installed"
    total = run("cksum", unit).stdout.split()[:2]
    name = "/" + unit.relative_to(prefix).as_posix()
    kept = [line for line in manifest.read_text().splitlines() if not line.endswith(f" {name}")]
    manifest.write_text("\n".join([*kept, f"{'-'.join(total)} {name}"]) + "\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["instal"], "bin/install-systemd install"),
        (["install", "--dry"], "unknown option --dry"),
        (["install", "--instance", "a/b"], "letters, digits"),
        (["install", "--instance", "prod"], "leave --instance out"),
        (["install", "--instance", "scheduler"], "that name is the scheduler's"),
        (["install", "--scheduler", "--instance", "north"], "one is for all feeds"),
        (["install", "--worker", "--incremental"], "--worker takes no --incremental"),
        (["upgrade", "--worker"], "systemctl disable --now carsync-worker@prod.service"),
        (["install", "--prefix"], "--prefix needs a value"),
        (["upgrade", "--instance", "north"], "upgrade takes no --instance"),
        (["remove", "--incremental"], "systemctl disable --now carsync-incremental@prod.timer"),
    ],
)
def test_wrong_use_is_told_and_changes_nothing(arguments: list[str], words: str) -> None:
    refused = run(INSTALLER, *arguments)
    assert refused.returncode == 2
    assert words in refused.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_scripts_are_sound_shell() -> None:
    checked = run("shellcheck", INSTALLER, UNITS / "carsync-alert", UNITS / "carsync-feed")
    assert checked.returncode == 0, checked.stdout


def test_the_alert_tells_how_the_run_ended_and_asks_who_can_be_asked(tmp_path: Path) -> None:
    """The journal, a mailer and `carsync notify` are stood in for by scripts that write along."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(UNITS / "carsync-alert", folder)
    for name in ("journalctl", "sendmail", "carsync"):
        script = folder / name
        script.write_text(f'#!/bin/sh\necho "{name} $*"\n[ {name} != sendmail ] || cat\n')
        script.chmod(0o755)
    environ = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "MONITOR_UNIT": "carsync@north.service",
        "MONITOR_SERVICE_RESULT": "watchdog",
        "MONITOR_EXIT_STATUS": "ABRT",
        "ALERT_MAIL": "ops@example.com",
    }
    told = run("/bin/sh", folder / "carsync-alert", "north", **environ)
    assert told.returncode == 0, told.stderr
    assert "carsync failed: carsync@north.service on" in told.stdout
    assert "(watchdog, exit ABRT)" in told.stdout
    assert "--unit=carsync@north.service" in told.stdout
    alone = run("/bin/sh", folder / "carsync-alert", "north", MONITOR_INVOCATION_ID="7", **environ)
    assert " _SYSTEMD_INVOCATION_ID=7 + INVOCATION_ID=7\n" in alone.stdout
    assert "To: ops@example.com\nSubject: carsync failed: carsync@north.service\n" in told.stdout
    hook = "carsync notify --config /etc/carsync/north.yaml --unit carsync@north.service"
    assert hook in told.stdout

    for answer, exit_code in (
        ("[ $2 = --help ]", 1),
        ("[ $2 = --help ] || exit 2", 0),
        ("exit 2", 0),
    ):
        # the hook takes nothing; no hook is configured; a carsync without the command
        (folder / "carsync").write_text(f"#!/bin/sh\n{answer}\n")
        ended = run("/bin/sh", folder / "carsync-alert", "north", **environ)
        assert ended.returncode == exit_code


def test_an_hourly_run_that_keeps_failing_is_reported_once_a_day(tmp_path: Path) -> None:
    shutil.copy(UNITS / "carsync-alert", tmp_path)
    (tmp_path / "carsync").write_text("#!/bin/sh\necho told >>told\n")
    (tmp_path / "carsync").chmod(0o755)

    def alert(status: str = "3", unit: str = "carsync-incremental@north.service") -> int:
        """Report a failure; return how often `carsync notify` was called in all."""
        environ = {
            "MONITOR_UNIT": unit,
            "MONITOR_SERVICE_RESULT": "exit-code",
            "MONITOR_EXIT_STATUS": status,
            "STATE_DIRECTORY": str(tmp_path),
            "PATH": os.environ["PATH"],
        }
        command = ["/bin/sh", "carsync-alert", "north"]
        subprocess.run(command, env=environ, cwd=tmp_path, check=True, capture_output=True)
        return (tmp_path / "told").read_text().count("told") // 2  # --help, and the call itself

    assert [alert(), alert(), alert("4"), alert("4")] == [1, 1, 2, 2]
    mark = tmp_path / "carsync-incremental.alert"
    day_ago = mark.stat().st_mtime - 24 * 3600
    os.utime(mark, (day_ago, day_ago))
    assert [alert("4"), alert("4")] == [3, 3]
    nightly = "carsync@north.service"
    assert [alert("4", nightly), alert("4", nightly)] == [4, 5]


def test_a_command_for_a_feed_works_with_the_files_of_its_service(tmp_path: Path) -> None:
    shutil.copy(UNITS / "carsync-feed", tmp_path)
    (tmp_path / "carsync").write_text('#!/bin/sh\necho "$@"\nenv\n')
    (tmp_path / "carsync").chmod(0o755)
    (tmp_path / "north.yaml").write_text("")
    (tmp_path / "north.env").write_text(
        "# the address\nnot-a-name=1\nAPI_BASE_URL='http://a/b?c=d&e'\n\nRPS=5"
    )
    command = ("/bin/sh", tmp_path / "carsync-feed")
    ended = run(*command, "north", "status", "--json", CARSYNC_ETC=str(tmp_path))
    said = ended.stdout.splitlines()
    assert said[0] == f"status --json --config {tmp_path}/north.yaml"
    assert {
        "API_BASE_URL=http://a/b?c=d&e",
        "RPS=5",
        f"CREDENTIALS_DIRECTORY={tmp_path}/credentials/north",
        "STATE_DIRECTORY=/var/lib/carsync/north",
    } <= set(said)
    for arguments, words in (
        (["north", "sync"], "systemctl start carsync@north.service"),
        (["prod", "sync", "--fresh"], "systemctl start carsync.service"),
        (["north", "sync", "--mode", "incremental"], "start carsync-incremental@north.service"),
        (["north", "sync", "--mode=incremental"], "start carsync-incremental@north.service"),
        (["north", "-v", "--log-format", "json", "sync"], "start carsync@north.service"),
        (["south", "status"], "south.yaml cannot be read\nhint: there is the feed north\n"),
        (["north"], "usage: carsync-feed FEED"),
    ):
        refused = run(*command, *arguments, CARSYNC_ETC=str(tmp_path))
        assert refused.returncode == 2
        assert words in refused.stderr
