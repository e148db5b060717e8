"""Judges the way to PostgreSQL and the server: address, pooler, version, role, connections."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from carsync import formatting
from carsync.doctor.findings import Findings
from carsync.exit_codes import ExitCode
from carsync.model import PARENT_SESSIONS

CHECKS = ("endpoint", "version", "server clock", "role settings", "connections")
"""The names of the checks that a session with the server makes possible, in their order."""

OLDEST = 13
"""The oldest PostgreSQL on which the statements work (gen_random_uuid is built in since)."""
SKEW_S = 5.0

_DIRECT = re.compile(r"db\.([a-z0-9]+)\.supabase\.(co|in|net)", re.IGNORECASE)
_POOLER = re.compile(r"[a-z0-9-]+\.pooler\.supabase\.com", re.IGNORECASE)
_SESSION_STRING = (
    "use the Session pooler's string (Supabase: project → Connect → Session pooler, port 5432, "
    "user postgres.PROJECT)"
)
OVERRIDDEN = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "2min",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
}
"""Settings of a role that would harm a run, and what carsync's sessions set instead."""


class Endpoint(Struct, frozen=True):
    """One host of the connection string with its `addresses`, or the `error` of the lookup.

    `reached` is the address that took a connection; `refusals` say why others did not.
    """

    host: str
    port: int
    addresses: Sequence[str] = ()
    took_s: float = 0.0
    error: str = ""
    reached: str = ""
    refusals: Sequence[str] = ()


class ServerFacts(Struct, frozen=True):
    """What the server says about itself and the role; `settings` maps name → (role's, ours).

    A limit below zero means no limit. `skew_s`: the server's clock is this much ahead.
    """

    version: int
    version_text: str
    role: str
    is_superuser: bool
    is_standby: bool
    encoding: str
    role_limit: int
    database_limit: int
    slots: int
    used: int
    used_by_role: int
    used_in_database: int
    skew_s: float
    encrypted: bool | None
    pooled: bool
    settings: Mapping[str, tuple[str, str]]


def judge_endpoint(found: Findings, endpoint: Endpoint) -> bool:
    """Judge name and address of the server; say whether something listens there."""
    where = f"{endpoint.host}:{endpoint.port}"
    if _POOLER.fullmatch(endpoint.host) and endpoint.port == 6543:
        found.problem(
            "endpoint",
            f"{where} is Supabase's transaction pooler, which has no session locks",
            _SESSION_STRING,
            ExitCode.CONFIG,
        )
        return False
    if endpoint.error:
        fix = "look for a typing error in DATABASE_URL, then at this machine's DNS"
        if _DIRECT.fullmatch(endpoint.host):
            fix = "is the project paused, or its reference misspelt? Otherwise " + _SESSION_STRING
        found.problem("address", f"{endpoint.host}: {endpoint.error}", fix)
        return False
    if not endpoint.reached:
        found.problem("address", *_explain_unreached(endpoint, where))
    elif not endpoint.addresses:
        found.ok("address", f"Unix socket in {endpoint.reached}")
    else:
        took = formatting.latency(endpoint.took_s)
        found.ok("address", f"{where} → {endpoint.reached}, connected in {took}")
    return bool(endpoint.reached)


def _explain_unreached(endpoint: Endpoint, where: str) -> tuple[str, str]:
    """Return why no address of a known host takes a connection, and how to mend that."""
    only_six = bool(endpoint.addresses) and all(":" in each for each in endpoint.addresses)
    why = "; ".join(dict.fromkeys(endpoint.refusals))
    if only_six and _DIRECT.fullmatch(endpoint.host):
        return (
            f"{endpoint.host} is Supabase's direct host: it has an IPv6 address only, and this "
            f"network does not reach it ({why})",
            _SESSION_STRING + ", which has IPv4; or buy Supabase's IPv4 add-on",
        )
    if only_six:
        seen = f"{where} has an IPv6 address only, and it is not reached ({why})"
        return seen, "use a host with an IPv4 address, or a network with IPv6"
    fix = "check that the firewall lets this machine in (Supabase: Database → Network restrictions)"
    if "refused" in why:
        fix = "nothing listens there: is PostgreSQL running, are host and port right?"
    return f"{where} → {', '.join(endpoint.addresses)}: {why}", fix


def judge_kind(found: Findings, host: str, facts: ServerFacts) -> None:
    """Say whether the connection is direct or goes through a pooler in session mode."""
    tls = "" if facts.encrypted is None else ", TLS" if facts.encrypted else ", no TLS"
    if facts.pooled or _POOLER.fullmatch(host):
        found.ok("endpoint", f"a pooler in session mode{tls if facts.encrypted else ''}")
    else:
        found.ok("endpoint", f"direct{tls}")


def judge_server(found: Findings, facts: ServerFacts) -> None:
    """Judge version, state, encoding, clock and the role's settings."""
    version = f"PostgreSQL {facts.version_text}"
    if facts.version // 10_000 < OLDEST:
        found.problem("version", version, f"carsync needs PostgreSQL {OLDEST} or later")
    elif facts.is_standby:
        seen = f"{version}, a standby: it is read-only"
        found.problem("version", seen, "connect to the primary")
    else:
        found.ok("version", version)
    if facts.encoding != "UTF8":
        found.warn(
            "encoding",
            f"the database stores {facts.encoding}, which cannot hold every character of a feed",
            "use a database created with ENCODING 'UTF8'",
        )
    if abs(facts.skew_s) > SKEW_S:
        ahead = "ahead of" if facts.skew_s > 0 else "behind"
        found.warn(
            "server clock",
            f"{formatting.duration(abs(facts.skew_s))} {ahead} this machine's",
            "set up NTP on both (timedatectl)",
        )
    else:
        found.ok("server clock", "the same as this machine's, within seconds")
    _judge_settings(found, facts.settings)


def _judge_settings(found: Findings, settings: Mapping[str, tuple[str, str]]) -> None:
    kept = [f"{name} {ours}" for name, (_, ours) in settings.items() if ours != OVERRIDDEN[name]]
    if kept:
        found.problem(
            "role settings",
            f"carsync cannot change {', '.join(kept)}: a long merge would be cancelled",
            "ALTER ROLE … RESET them for carsync's role",
        )
        return
    changed = [
        f"{name} {theirs}"
        for name, (theirs, _) in settings.items()
        if theirs not in {OVERRIDDEN[name], "0"}
    ]
    overridden = f"{', '.join(changed)}; carsync's own sessions override that"
    nothing = "no timeout and no read-only mode"
    found.ok("role settings", overridden if changed else nothing)


def judge_connections(
    found: Findings, facts: ServerFacts, writers: int, opened: int, refused: str
) -> None:
    """Judge whether there are connections enough for the writers and the parent.

    The server's figures tell for a direct connection. A pooler's limits cannot be asked
    for: `opened` connections were open at once for a moment, and `refused` says why the
    next one was not. A run starts with fewer writers than it should have, but not without one.
    """
    needed = writers + PARENT_SESSIONS
    free, seen, where = opened, f"the pooler gave all {needed} that are needed at once", ""
    if facts.pooled and refused:
        seen = f"the pooler gave {formatting.part(opened, needed, 'connection')}: {refused}"
        where = " (Supabase: Database → Connection pooling → pool size)"
    elif not facts.pooled:
        free, why = _free_connections(facts)
        seen = f"{needed} needed, {free} free ({why})"
    if free >= needed:
        found.ok("connections", seen)
        return
    fitting = max(1, free - PARENT_SESSIONS)
    fix = f"set database.writers: {fitting} (PARALLEL_BATCHES, now {writers}), or raise the limit"
    if free > 1:
        starts = f"{seen}; a run starts with {formatting.plural(fitting, 'writer')}"
        found.warn("connections", starts, fix + where)
    else:
        found.problem(
            "connections",
            f"{seen}; a run needs one for itself and one to write",
            f"raise the limit{where}, or close other clients; database.writers: 1 needs "
            f"{1 + PARENT_SESSIONS}",
        )


def _free_connections(facts: ServerFacts) -> tuple[int, str]:
    """Return how many connections the server has left for the role, and by which limit."""
    free_by = [(facts.slots - facts.used, f"max_connections leaves {facts.slots} to this role")]
    if facts.role_limit >= 0 and not facts.is_superuser:
        limit = facts.role_limit
        free_by.append((limit - facts.used_by_role, f"role {facts.role} has a limit of {limit}"))
    if facts.database_limit >= 0 and not facts.is_superuser:
        limit = facts.database_limit
        free_by.append((limit - facts.used_in_database, f"the database has a limit of {limit}"))
    free, limit_words = min(free_by)
    return max(free, 0), limit_words
