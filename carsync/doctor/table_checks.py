"""Judges what the role may do, and the tables: grants, adoption, hashes, runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from carsync import formatting
from carsync.config.sections import Config
from carsync.doctor.findings import Findings
from carsync.errors import CarsyncError
from carsync.reporting.views.cost import budget_words
from carsync.state.api_use import BudgetUse

CHECKS = ("schema carsync", "target schema", "target table", "migrations", "hashes", "lock")
"""The names of the checks of schemas and tables, in the order in which they are made."""

KNOWN_ENOUGH = 10
"""At least this many cars of the first page must be in the table to judge by their hashes."""
SAME_SHARE = 0.5


class Privileges(Struct, frozen=True):
    """What the role may do, step by step; None for a schema or a table that does not exist.

    `lacking` maps carsync's own tables to the privileges that the role lacks on them.
    `open_writers` are roles that may write to the target by default privileges, or PUBLIC.
    """

    role: str
    database: str
    create_in_database: bool
    use_own_schema: bool | None
    create_in_own_schema: bool | None
    owns_own_tables: bool
    use_schema: bool | None
    create_in_schema: bool | None
    owns_target: bool | None
    may_analyze: bool | None
    lacking: Mapping[str, Sequence[str]]
    open_writers: Sequence[str] = ()


class TableFacts(Struct, frozen=True):
    """The target and carsync's own tables as they are.

    `error` is what `migrate` would raise, `pending` what `migrate` would do. `rows` is the
    planner's estimate, None without a table. `scheme` is the recorded hash scheme. `triggers`
    see what is written to the target. `other_feed` is why `sync` would refuse this feed.
    """

    error: CarsyncError | None
    pending: Sequence[str]
    rows: int | None
    scheme: str | None
    lock_holder: str
    unfinished_run: int | None
    triggers: Sequence[str] = ()
    other_feed: CarsyncError | None = None


class Overlap(Struct, frozen=True):
    """The first page held against the table.

    Of its `cars` the table has `known`, of which `foreign` belong to another source.
    `same_by` counts equal hashes by algorithm.
    """

    cars: int
    known: int
    foreign: int
    same_by: Mapping[str, int]


def judge_privileges(
    found: Findings, target: str, held: Privileges, pending: Sequence[str] | None
) -> None:
    """Judge the privileges of each step; `pending` None: pending migrations are not known."""
    migrates = any("migration" in sentence for sentence in pending or ())
    name = "schema carsync"
    if problem := _own_schema_problem(held, migrates=migrates):
        found.problem(name, *problem)
    elif held.use_own_schema is None:
        found.ok(name, f"not there yet; {held.role} may create it")
    else:
        found.ok(name, f"{held.role} may use it and create in it")
    schema = target.partition(".")[0]
    if problem := _target_problem(held, schema, target):
        found.problem("target schema", *problem)
    else:
        found.ok("target schema", f"{held.role} may use {schema}")
    if any("column" in sentence for sentence in pending or ()) and not held.owns_target:
        found.problem(
            "new columns",
            f"{held.role} does not own {target}, and only its owner may add columns",
            f"ALTER TABLE {target} OWNER TO {held.role}, or run `carsync migrate` as the owner",
        )
    if held.open_writers:
        named = ", ".join(held.open_writers)
        found.warn(
            "open to writes",
            f"{target} may be changed by {named} (default privileges, or a grant to PUBLIC)",
            f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON {target} FROM {named}"
            f", or ALTER TABLE {target} ENABLE ROW LEVEL SECURITY with policies for its readers",
        )
    if held.may_analyze is False:
        found.ok("ANALYZE", f"only the owner of {target} may; autovacuum does it later")


def _target_problem(held: Privileges, schema: str, target: str) -> tuple[str, str] | None:
    if held.use_schema is None:
        return f"there is no schema {schema}", f"CREATE SCHEMA {schema}, as its owner"
    if not held.use_schema:
        fix = f"GRANT USAGE ON SCHEMA {schema} TO {held.role}"
        return f"{held.role} may not use schema {schema}", fix
    if held.owns_target is None and not held.create_in_schema:
        return (
            f"{held.role} may not create {target}, which does not exist",
            f"GRANT CREATE ON SCHEMA {schema} TO {held.role}, or create the table for it",
        )
    return None


def _own_schema_problem(held: Privileges, *, migrates: bool) -> tuple[str, str] | None:
    """Return what the role may not do in carsync's own schema, and how to mend that."""
    if held.use_own_schema is None:
        if held.create_in_database:
            return None
        return (
            f"not there yet, and {held.role} may not create it",
            f"as the database's owner: GRANT CREATE ON DATABASE {held.database} TO {held.role}",
        )
    may = {"USAGE": held.use_own_schema, "CREATE": held.create_in_own_schema}
    if lacking := ", ".join(name for name, is_held in may.items() if not is_held):
        return (
            f"{held.role} lacks {lacking} on it (a run makes its staging tables there)",
            f"GRANT {lacking} ON SCHEMA carsync TO {held.role}",
        )
    if held.lacking:
        named = "; ".join(f"{', '.join(p)} on {t}" for t, p in held.lacking.items())
        return (
            f"{held.role} lacks {named}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA carsync TO {held.role}",
        )
    if migrates and not held.owns_own_tables:
        return (
            f"migrations are pending, and {held.role} does not own carsync's tables",
            "run `carsync migrate` as their owner",
        )
    return None


def judge_tables(found: Findings, config: Config, target: str, facts: TableFacts) -> bool:
    """Judge the target table and pending migrations; say whether the table can be used."""
    if facts.error is not None and target in facts.error.problem:
        found.failed("target table", facts.error)
        found.skip(["migrations", "hashes"], "the target table cannot be used")
        return False
    if facts.error is not None:
        found.skip(["target table"], "the migrations cannot be read")
        found.failed("migrations", facts.error)
        found.skip(["hashes"], "the migrations cannot be read")
        return False
    if facts.rows is None:
        found.ok("target table", f"{target} is not there yet; a run creates it")
    else:
        rows = f"about {formatting.plural(facts.rows, 'row')}"
        found.ok("target table", f"{target}: SELECT, INSERT, UPDATE; {rows}, no row hidden")
    if facts.triggers:
        found.ok(
            "triggers",
            f"{', '.join(facts.triggers)} may change what a run writes: a car that is then not as "
            "in the feed is counted as kept, a record that one refuses is rejected",
        )
    if not facts.pending:
        found.ok("migrations", "none pending")
    elif config.database.auto_migrate:
        found.ok("migrations", f"sync does it first: {_short(facts.pending)}")
    else:
        found.problem(
            "migrations",
            f"{_short(facts.pending)}, and database.auto_migrate is off",
            "run `carsync migrate`",
        )
    return True


def _short(pending: Sequence[str]) -> str:
    other = [sentence for sentence in pending if not sentence.startswith("migration ")]
    migrated = len(pending) - len(other)
    parts = [f"{formatting.plural(migrated, 'migration')} pending"] if migrated else []
    more = f" and {len(other) - 3} more" if len(other) > 3 else ""
    return "; ".join([*parts, *other[:3]]) + more


def _scheme_words(scheme: str) -> str:
    """Say a hash scheme in few words.

    >>> _scheme_words("md5:v1:make,model")
    'md5 over 2 fields'
    """
    algorithm, _, rest = scheme.partition(":")
    return f"{algorithm} over {formatting.plural(rest.count(',') + 1, 'field')}"


def _field_changes(before: str, now: str) -> str:
    """Name the fields that came and went; empty where they are the same."""
    old, new = (set(scheme.rpartition(":")[2].split(",")) for scheme in (before, now))
    changes = [f"+{name}" for name in sorted(new - old)]
    changes += [f"-{name}" for name in sorted(old - new)]
    return f" ({', '.join(changes)})" if changes else ""


def judge_hashes(
    found: Findings, facts: TableFacts, scheme: str, overlap: Overlap | None, source: str
) -> None:
    """Judge whether the next run would rewrite every row, by the scheme and by the first page."""
    rows = formatting.plural(facts.rows or 0, "row")
    if facts.scheme is not None and facts.scheme != scheme:
        found.warn(
            "hashes",
            f"the table was written with {_scheme_words(facts.scheme)}, now it is "
            f"{_scheme_words(scheme)}{_field_changes(facts.scheme, scheme)}: about {rows} are "
            "rewritten once",
            "restore mapping.hash, or accept this (it is safe, but the merge takes long)",
        )
    elif overlap is None or overlap.known < KNOWN_ENOUGH:
        state = "as recorded" if facts.scheme else "nothing to compare yet"
        found.ok("hashes", f"{_scheme_words(scheme)}, {state}")
    else:
        _judge_overlap(found, scheme, overlap, rows)
    if overlap is not None and overlap.foreign > overlap.known / 2 >= KNOWN_ENOUGH / 2:
        found.warn(
            "source",
            f"the first page lists {formatting.part(overlap.foreign, overlap.known, 'car')} that "
            f"have another source_api than {source!r} in the table",
            "set sync.source to the value of source_api there; else these cars are not deactivated "
            "until a run has taken them over",
        )


def _judge_overlap(found: Findings, scheme: str, overlap: Overlap, rows: str) -> None:
    same = overlap.same_by.get(scheme.partition(":")[0], 0)
    seen = (
        f"of {formatting.plural(overlap.cars, 'car')} on the first page {overlap.known:,} in the "
        f"table, {same:,} with the same hash"
    )
    best, most = max(overlap.same_by.items(), key=lambda found: found[1])
    if same >= SAME_SHARE * overlap.known:
        found.ok("hashes", seen)
    elif most >= SAME_SHARE * overlap.known:
        fix = f"set mapping.hash.algorithm: {best}, by which {most} are the same"
        found.warn("hashes", f"{seen}: about {rows} would be rewritten once", fix)
    else:
        fix = "look at mapping.hash.fields and at the mapping with `carsync preview`, or accept it"
        found.warn("hashes", f"{seen}: most of about {rows} will be rewritten", fix)


def judge_runs(found: Findings, facts: TableFacts) -> None:
    """Judge whether another run is in the way, or waits to be resumed, or had another feed."""
    if facts.other_feed is not None:
        found.failed("source", facts.other_feed)
    if facts.lock_holder:
        fix = "wait for its end; a sync would end with 75"
        found.warn("lock", f"{facts.lock_holder} holds the table's lock", fix)
    elif facts.unfinished_run is not None:
        found.ok("lock", f"free; run {facts.unfinished_run} is unfinished and will be resumed")
    else:
        found.ok("lock", "free")


def judge_budget(found: Findings, use: BudgetUse | None) -> None:
    """Judge what is left of `limits.budget`."""
    if use is not None:
        fix = "wait until it renews, or raise limits.budget.requests if the API allows it"
        found.warn_if(not use.left, "budget", budget_words(use), fix)
