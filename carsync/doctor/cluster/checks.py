"""Judges a cluster: certificates, scheduler, and each worker with its own view of the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from carsync import formatting
from carsync.doctor.findings import Findings
from carsync.doctor.way_checks import EXPIRES_SOON_DAYS
from carsync.engine.cluster_tls import Handshake
from carsync.engine.cluster_view import (
    CertificateView,
    DatabaseView,
    Examined,
    SchedulerView,
    WorkerView,
)
from carsync.exit_codes import ExitCode
from carsync.model import PARENT_SESSIONS

CHECKS = (
    "certificate",
    "scheduler",
    "settings",
    "versions",
    "workers",
    "clocks",
    "their files",
    "their API",
    "their database",
)
"""The names of these checks, in the order in which they are made."""
LOOKS = CHECKS[-3:]
"""Those that fit workers make themselves."""

SLOW_S = 0.5
MOST_TTL_S = 120.0
MOST_SKEW_S = 5.0
_MOST_NAMED = 3

_REFUSED = (
    ("expired", "make a new certificate for this machine: docs/cluster.md, renewal"),
    ("not yet valid", "look at the clocks of both machines (timedatectl)"),
    ("self-signed", "it was made by another authority: make it with the one in engine.tls.ca"),
    ("local issuer", "it was made by another authority: make it with the one in engine.tls.ca"),
    ("unknown ca", "the other side trusts another authority: use one engine.tls.ca everywhere"),
    ("purpose", "make it for both roles: extendedKeyUsage = serverAuth, clientAuth"),
)


class ClusterFacts(Struct, frozen=True):
    """What was found of the workers: each with its clock, each service with its view.

    `looks` are by the worker's name, of one fit process of each `carsync worker`. `database` is
    the view of this machine. `no_request` says why the API was not asked; empty: it was.
    """

    workers: Sequence[WorkerView]
    clocks: Mapping[str, Examined]
    looks: Mapping[str, Examined]
    database: DatabaseView
    no_request: str = ""


def judge_own(found: Findings, own: CertificateView) -> bool:
    """Judge the certificate in engine.tls.cert; say whether it can be used."""
    if own.error:
        fix = _fix(own.error)
        found.problem("certificate", f"engine.tls.cert: {own.error}", fix, ExitCode.CONFIG)
        return False
    days = formatting.plural(math.floor(own.days_left), "day")
    found.warn_if(
        own.days_left < EXPIRES_SOON_DAYS,
        "certificate",
        f"engine.tls.cert is of engine.tls.ca, valid for {days} more",
        "renew it, and start what uses it anew: docs/cluster.md, renewal",
    )
    return True


def _fix(error: str) -> str:
    return next((fix for sign, fix in _REFUSED if sign in error), "see docs/cluster.md")


def judge_handshake(found: Findings, address: str, seen: Handshake) -> bool:
    """Judge the connection to the scheduler; say whether it can be asked."""
    theirs = seen.certificate
    if seen.error:
        found.problem(
            "scheduler",
            f"{address}: {seen.error}",
            "start `carsync scheduler` there; see its log, engine.scheduler and firewalls",
        )
    elif theirs is not None and theirs.error:
        seen_there = f"{address}: its certificate: {theirs.error}"
        found.problem("scheduler", seen_there, _fix(theirs.error))
    elif seen.refused:
        seen_there = f"{address} refuses engine.tls.cert: {seen.refused}"
        found.problem("scheduler", seen_there, _fix(seen.refused))
    else:
        return True
    return False


def judge_scheduler(
    found: Findings, address: str, seen: Handshake, view: SchedulerView, own: Mapping[str, str]
) -> None:
    """Judge the scheduler: its answer, certificate, settings and versions; `own` are ours."""
    days = math.inf if seen.certificate is None else seen.certificate.days_left
    reached = f"{address}: answers in {formatting.latency(seen.took_s + view.took_s)}"
    if days < EXPIRES_SOON_DAYS:
        left = formatting.plural(math.floor(days), "day")
        fix = "renew it on that machine: docs/cluster.md, renewal"
        found.warn("scheduler", f"{reached}; its certificate is valid for {left} more", fix)
    else:
        slow = seen.took_s + view.took_s > SLOW_S
        fix = "each request waits that long for the rate limit: move the scheduler nearer"
        found.warn_if(slow, "scheduler", reached, fix)
    _judge_settings(found, view)
    other = [name for name, version in own.items() if view.versions.get(name) != version]
    if not other:
        found.ok("versions", ", ".join(f"{name} {version}" for name, version in own.items()))
        return
    theirs = ", ".join(f"{name} {view.versions.get(name) or 'is missing'}" for name in other)
    ours = ", ".join(f"{name} {own[name]}" for name in other)
    fix = "install one version of carsync[cluster] on every machine, the same Python, too"
    found.problem("versions", f"the scheduler's {theirs}; ours: {ours}", fix)


def _judge_settings(found: Findings, view: SchedulerView) -> None:
    if view.allowed_failures is None or view.worker_ttl_s is None:
        found.skip(["settings"], "carsync is not there, or is another version")
        return
    wrong = []
    if view.allowed_failures != 0:
        wrong.append(f"allowed-failures is {view.allowed_failures}, not 0")
    if not 0 < view.worker_ttl_s <= MOST_TTL_S:
        ttl = formatting.duration(view.worker_ttl_s) if view.worker_ttl_s else "never over"
        wrong.append(f"worker-ttl is {ttl}, not 30 s")
    fix = "start it with `carsync scheduler`: another one repeats leases on its own account"
    seen = "; ".join(wrong) or "allowed-failures 0, worker-ttl " + formatting.duration(
        view.worker_ttl_s
    )
    found.warn_if(bool(wrong), "settings", seen, fix)


def judge_workers(found: Findings, facts: ClusterFacts, concurrency: int) -> None:
    """Judge which workers take the feed's leases, their clocks, and what they see."""
    fit = [each for each in facts.workers if not each.misfit]
    unfit = [each for each in facts.workers if each.misfit and not each.is_others]
    others = len(facts.workers) - len(fit) - len(unfit)
    threads = sum(each.threads for each in fit)
    seen = f"{formatting.plural(len(fit), 'worker', 'fits', 'fit')}, {threads} threads"
    seen += f"; {others} for other feeds or labels" if others else ""
    why = "; ".join(
        _by_words({each.name: each.misfit for each in (unfit if fit else facts.workers)})
    )
    fix = "start `carsync worker` with this very file, carsync's version and engine.label"
    if not fit:
        told = why or "the cluster has no worker"
        found.problem("workers", f"none takes this feed's leases. {told}", fix)
    elif unfit:
        found.warn("workers", f"{seen}. Not used: {why}", fix)
    elif threads < concurrency:
        more = f"{seen}, fewer than limits.concurrency ({concurrency})"
        found.warn("workers", more, "start more workers, or lower limits.concurrency")
    else:
        found.ok("workers", seen)
    _judge_clocks(found, facts.clocks)
    _judge_looks(found, facts)


def _judge_clocks(found: Findings, clocks: Mapping[str, Examined]) -> None:
    wrong = {}
    for name, told in clocks.items():
        if told.fault:
            wrong[name] = told.fault
        elif abs(told.skew_s) - told.within_s > MOST_SKEW_S:
            side = "ahead" if told.skew_s > 0 else "behind"
            wrong[name] = f"{formatting.duration(abs(told.skew_s))} {side}"
    if wrong:
        fix = "let a time service keep all clocks (timedatectl); look after a worker without answer"
        found.warn("clocks", "; ".join(_by_words(wrong)), fix)
    elif clocks:
        most = max(abs(told.skew_s) for told in clocks.values())
        found.ok("clocks", f"within {formatting.latency(most)} of this machine's")


def _judge_looks(found: Findings, facts: ClusterFacts) -> None:
    silent = {name: told.fault for name, told in facts.looks.items() if told.fault}
    if silent:
        fix = "look at the worker's log and machine (journalctl -u 'carsync-worker@*')"
        found.problem("their view", "; ".join(_by_words(silent)), fix)
    _judge_files(found, facts)
    _judge_api(found, facts)
    _judge_databases(found, facts)


def _judge_files(found: Findings, facts: ClusterFacts) -> None:
    shown = {name: t.certificate for name, t in facts.looks.items() if t.certificate is not None}
    broken = {name: each.error for name, each in shown.items() if each.error}
    soon = {
        name: f"valid for {formatting.plural(math.floor(each.days_left), 'day')} more"
        for name, each in shown.items()
        if not each.error and each.days_left < EXPIRES_SOON_DAYS
    }
    if broken:
        words = next(iter(broken.values()))
        found.problem("their files", "; ".join(_by_words(broken)), _fix(words))
    elif soon:
        fix = "renew it on that machine: docs/cluster.md, renewal"
        found.warn("their files", "; ".join(_by_words(soon)), fix)
    elif shown:
        days = math.floor(min(each.days_left for each in shown.values()))
        seen = f"certificates valid for {formatting.plural(days, 'day')} and more"
        found.ok("their files", seen)


def _judge_api(found: Findings, facts: ClusterFacts) -> None:
    if facts.no_request:
        found.skip(["their API"], facts.no_request)
        return
    asked = {name: told.api for name, told in facts.looks.items() if told.api is not None}
    failed = {name: each for name, each in asked.items() if each.error}
    if failed:
        hint = next((each.hint for each in failed.values() if each.hint), "")
        found.problem(
            "their API",
            "; ".join(_by_words({name: each.error for name, each in failed.items()})),
            hint or "look at the key, the proxy and the way out of that machine",
            ExitCode.API,
        )
    elif asked:
        slowest = formatting.latency(max(each.took_s for each in asked.values()))
        found.ok("their API", f"answers {_named(list(asked))}, the slowest in {slowest}")


def _judge_databases(found: Findings, facts: ClusterFacts) -> None:
    seen = {name: told.database for name, told in facts.looks.items() if told.database is not None}
    wrong = {name: fault for name, each in seen.items() if (fault := _fault(facts, each)[0])}
    if wrong:
        fix = next(fix for each in seen.values() for fault, fix in [_fault(facts, each)] if fault)
        found.problem("their database", "; ".join(_by_words(wrong)), fix, ExitCode.DATABASE)
        return
    fit = sum(not each.misfit for each in facts.workers)
    needed, free = fit + PARENT_SESSIONS, min((each.free for each in seen.values()), default=0)
    if seen and free < needed:
        are_free = formatting.plural(free, "connection", "is", "are")
        told = f"{are_free} free, workers and the run need {needed}"
        fix = "raise max_connections, or start fewer worker processes with more threads"
        found.warn("their database", told, fix)
    elif seen:
        roles = sorted({each.role for each in seen.values()})
        same = "" if facts.database.error else "the same as ours, "
        found.ok("their database", f"{same}as {', '.join(roles)}, who may write to staging")


def _fault(facts: ClusterFacts, its: DatabaseView) -> tuple[str, str]:
    """Return what is wrong with a worker's database, and what helps; empty: nothing."""
    ours = facts.database
    if its.error:
        return its.error, its.hint or "look at database.dsn and the way there from that machine"
    if not ours.error and its.place != ours.place:
        return "it is another database than ours", "let database.dsn lead to one database"
    if not its.may_stage:
        fix = (
            f"use one role everywhere, or GRANT {ours.role} TO {its.role}"
            if ours.role
            else "use the role of the run on the workers, too"
        )
        return f"{its.role} may not write to staging", fix
    return "", ""


def _by_words(words_by_name: Mapping[str, str]) -> list[str]:
    """Join those of whom the same is said.

    >>> _by_words({"a-1": "it has no label x", "a-2": "it has no label x", "b-1": "expired"})
    ['a-1, a-2: it has no label x', 'b-1: expired']
    """
    names: dict[str, list[str]] = {}
    for name, words in words_by_name.items():
        names.setdefault(words, []).append(name)
    return [f"{_named(of)}: {words}" for words, of in names.items()]


def _named(names: Sequence[str]) -> str:
    """Name the first few.

    >>> _named(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(formatting.printable(name) for name in names[:_MOST_NAMED]) + more
