"""Typed configuration: the sections, their keys and their defaults. Each key lives here once.

Those below `api` and `mapping` have modules of their own.

`parser.py` reads the sections from YAML text and an environment; `keys.py` derives the JSON
Schema from them. Child processes import this module, so it stays light.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta

from carsync.config.api_sections import Api
from carsync.config.mapping_sections import MappingRules
from carsync.config.section_base import (
    Count,
    Identifier,
    Natural,
    NotNegative,
    Positive,
    Section,
    Share,
)
from carsync.errors import ConfigError
from carsync.model import Mode, RunMode, Target
from carsync.redaction import Secret


class Retry(Section, frozen=True):
    """Attempts for one page, the first included. Waits grow from `base_s` to `cap_s` seconds."""

    max_attempts: Count = 6
    base_s: Positive = 1.0
    cap_s: Positive = 60.0


class CircuitBreakerRules(Section, frozen=True):
    """After `failures` failures in a row the breaker opens: no requests for `open_s` seconds.

    Then one request tries again. The run ends (exit 3) when the breaker has opened
    `give_up_after` times without a success.
    """

    failures: Count = 10
    open_s: Positive = 60.0
    give_up_after: Count = 5


BudgetPeriod = Literal["hour", "day", "month"]


class Budget(Section, frozen=True):
    """At most so many `requests` per hour, day or month, over all runs of the feed.

    Null: any number. Hours, days and months are those of UTC, by the clock of the database.
    """

    requests: Count | None = None
    per: BudgetPeriod = "day"


_MOST_FETCHERS = 4


class Limits(Section, frozen=True):
    """The rate of requests. `requests_per_second: 0`: no limit. `burst: null`: twice the rate.

    `adaptive`: the rate falls where the API refuses requests (429, 420, 503, or 403 after good
    pages) and recovers slowly, up to `requests_per_second`. Where answers tell what is left of a
    limit (`RateLimit`, `X-RateLimit-*`, `Quota-*`), it is spread over the time until the reset,
    at most over a minute. A rate never falls below one request a minute.
    """

    requests_per_second: NotNegative = 20.0
    burst: Count | None = None
    concurrency: Count = 16
    fetcher_processes: Count | None = None
    adaptive: bool = True
    max_wait_s: NotNegative = 900.0
    budget: Budget = Budget()
    retry: Retry = Retry()
    circuit_breaker: CircuitBreakerRules = CircuitBreakerRules()

    @property
    def effective_burst(self) -> int:
        """The number of requests that may be sent at once: `burst`, or twice the rate."""
        return self.burst if self.burst is not None else max(1, round(2 * self.requests_per_second))

    def fetchers(self, cores: int) -> int:
        """Return the number of fetcher processes of a run on a machine with `cores`.

        >>> Limits().fetchers(2), Limits(concurrency=1).fetchers(2), Limits().fetchers(64)
        (2, 1, 4)
        """
        return self.fetcher_processes or min(cores, self.concurrency, _MOST_FETCHERS)


LoadMethod = Literal["execute_values", "copy"]


class Database(Section, frozen=True):
    """Where the table is, and how rows are written."""

    dsn: Secret | None = None
    schema: Identifier = "public"
    table: Identifier = "cars"
    batch_size: Count = 500
    writers: Count = 6
    load_method: LoadMethod = "execute_values"
    auto_migrate: bool = True
    connect_timeout_s: Positive = 10.0
    lock_timeout_s: Positive = 30.0


class Deactivate(Section, frozen=True):
    """When a car that the feed no longer lists may be deactivated.

    One run deactivates at most `max_share` of the active cars and at most `max_count`
    cars. The run must have seen at least `min_seen_share` of the total that the API reports.
    `second_proof` is a further proof for each car. `by_id`: carsync asks the API for the car
    itself, with at most `max_probes` requests per run; `max_probes: 0`, or
    `api.record: null`, means `next_run`. `next_run`: if there are signs of page drift, the
    car must be absent in the next complete run too. `none`: no further proof. Held cars can
    be approved within `approve_within_h` hours after the merge.
    """

    enabled: bool = True
    max_share: Share = 0.10
    max_count: Natural | None = None
    min_seen_share: Share = 0.995
    second_proof: Literal["by_id", "next_run", "none"] = "by_id"
    max_probes: Natural = 10_000
    approve_within_h: NotNegative = 72.0


class Plausible(Section, frozen=True):
    """What a run may do to the values of known cars; with more, it is held whole.

    `max_emptied_share` of the known cars: there a column may become empty or its default.
    `max_changed_share` of them may change at all. `max_new_share` of the cars may be new if as
    large a share of the active cars is missing. Null: any share.
    """

    max_changed_share: Share | None = 0.5
    max_emptied_share: Share | None = 0.2
    max_new_share: Share | None = 0.3


FIRST_SOURCE = "external"
"""The source of a table that has one only."""


class Sync(Section, frozen=True):
    """What a run does. Rows of this feed have the value of `source` in the column `source_api`.

    `mode` is what `carsync sync` does without `--mode`: it reads the whole feed (`full`), or what
    `api.window` says changed since the last run (`incremental`).
    """

    mode: Literal["full", "incremental"] = "full"
    source: str = FIRST_SOURCE
    deactivate: Deactivate = Deactivate()
    max_reject_share: Share = 0.05
    plausible: Plausible | None = Plausible()


class ClusterTls(Section, frozen=True):
    """Files (PEM): the cluster's authority `ca`, and what each of its processes shows."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


Label = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=63)]


class EngineRules(Section, frozen=True):
    """Who fetches, maps and stages the pages.

    `local`: processes of this machine. `dask`: the workers that `carsync worker` starts on any
    machine, and that `carsync scheduler` brings together at the address `scheduler`. A feed with a
    `label` is read by workers with this label alone. `tls` may be left out where the scheduler is
    on this very machine.
    """

    type: Literal["local", "dask"] = "local"
    scheduler: str | None = None
    label: Label | None = None
    tls: ClusterTls = ClusterTls()


class Checkpoint(Section, frozen=True):
    """The state file. An unfinished run younger than `max_age_h` hours is resumed."""

    path: str | None = None
    max_age_h: NotNegative = 12.0


class History(Section, frozen=True):
    """For how many days the records of a run are kept.

    `carsync revert` and `carsync changes` need the `changes`. The `details` are samples and
    failed attempts.
    """

    changes_keep_days: NotNegative = 30.0
    details_keep_days: NotNegative = 90.0


class Acceptance(Section, frozen=True):
    """Targets that are checked at the end of a run; null switches a target off.

    A run is judged by the rate that it was allowed: at `requests_per_second`, or at the lower
    one that the API stood, it may last twice as long as its requests take, and read half as
    many pages per second.

    Rates and the growth of memory are measured after `warmup_s` seconds. They are not
    checked in a shorter run.
    """

    max_minutes: Positive | None = 25.0
    min_pages_per_second: NotNegative | None = 10.0
    min_rows_per_second: NotNegative | None = 2000.0
    max_error_rate: Share | None = 0.05
    max_rss_slope_mb_per_min: NotNegative | None = 10.0
    warmup_s: NotNegative = 30.0


class MetricsFile(Section, frozen=True):
    """The file with a run's metrics for node_exporter's textfile collector; null: no file."""

    textfile: str | None = None


NoticeEvent = Literal["failed", "partial", "held", "acceptance", "stale", "recovered"]


class Notify(Section, frozen=True):
    """A web hook that gets a notification when a run ends with one of `events`.

    `stale`: the last success of a full run is older than `stale_after_h` hours, or, where
    incremental runs are in use, the newest data are older than `stale_incremental_after_h`. An
    incremental run that fails as the one before it is told once a day. `timeout_s` is the
    deadline of one attempt in seconds. `ping_url` is an address as healthchecks.io gives it:
    `ping_url/start` is pinged when a full run begins, `ping_url` when it is complete, and
    `ping_url/fail` when it ends otherwise; `incremental_ping_url` is that of incremental runs.
    """

    url: Secret | None = None
    ping_url: Secret | None = None
    incremental_ping_url: Secret | None = None
    format: Literal["slack", "json"] = "slack"
    events: tuple[NoticeEvent, ...] = get_args(NoticeEvent)
    stale_after_h: Positive = 26.0
    stale_incremental_after_h: Positive = 3.0
    timeout_s: Positive = 10.0
    attempts: Count = 4
    proxy: Secret | None = None
    ca_bundle: str | None = None

    def ping_url_of(self, mode: RunMode) -> Secret | None:
        """Return where runs of a mode ping; None: nowhere."""
        return self.ping_url if mode == "full" else self.incremental_ping_url

    def stale_after_s(self, mode: Mode) -> float:
        """Return the seconds after which the data that runs of a mode bring are stale."""
        hours = self.stale_after_h if mode == "full" else self.stale_incremental_after_h
        return hours * 3600


class Config(Section, frozen=True):
    """The whole configuration; only `api.base_url` and `database.dsn` have no working default."""

    api: Api = Api()
    limits: Limits = Limits()
    database: Database = Database()
    mapping: MappingRules = MappingRules()
    sync: Sync = Sync()
    engine: EngineRules = EngineRules()
    checkpoint: Checkpoint = Checkpoint()
    history: History = History()
    acceptance: Acceptance = Acceptance()
    metrics: MetricsFile = MetricsFile()
    notify: Notify = Notify()

    @property
    def target(self) -> Target:
        """The table that carsync keeps in step with the feed."""
        return Target(self.database.schema, self.database.table)

    def require_api(self) -> str:
        """Return `api.base_url`; raise `ConfigError` where it, or a key's secret, is missing."""
        if not self.api.base_url:
            raise ConfigError(
                "api.base_url is not set",
                hint="set API_BASE_URL, or `api: {base_url: https://…}` in the file",
            )
        auth = self.api.auth
        if missing := auth.missing():
            kind = f"oauth2, grant: {auth.grant}" if auth.type == "oauth2" else auth.type
            raise ConfigError(
                f"api.auth.{missing} is not set",
                detail=f"api.auth.type is {kind}",
                hint=f"set API_{missing.upper()}; docs/keys.md shows what each type needs",
            )
        return self.api.base_url

    def require_dsn(self) -> Secret:
        """Return `database.dsn`; raise `ConfigError` where it is missing."""
        if not self.database.dsn:
            raise ConfigError(
                "database.dsn is not set",
                hint="set DATABASE_URL=postgresql://USER:PASSWORD@HOST:5432/DB, or for Supabase "
                "SUPABASE_DB_URL, or SUPABASE_URL with SUPABASE_DB_PASSWORD",
            )
        return self.database.dsn
