"""The environment variables that always work, with or without a configuration file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

from carsync.errors import ConfigError

VARIABLES: dict[str, str] = {
    "API_BASE_URL": "api.base_url",
    "API_KEY": "api.auth.key",
    "API_USERNAME": "api.auth.username",
    "API_PASSWORD": "api.auth.password",
    "API_CLIENT_ID": "api.auth.client_id",
    "API_CLIENT_SECRET": "api.auth.client_secret",
    "API_REFRESH_TOKEN": "api.auth.refresh_token",
    "CONCURRENCY": "limits.concurrency",
    "RPS": "limits.requests_per_second",
    "PAGE_SIZE": "api.pagination.page_size",
    "BATCH_SIZE": "database.batch_size",
    "PARALLEL_BATCHES": "database.writers",
    "DATABASE_URL": "database.dsn",
    "CARSYNC_NOTIFY_URL": "notify.url",
    "CARSYNC_PING_URL": "notify.ping_url",
}
"""Environment variables that always work, and the key each one sets."""

FURTHER_VARIABLES: dict[str, str] = {
    "SUPABASE_DB_URL": "a Supabase project's connection string; sets `database.dsn` where "
    "`DATABASE_URL` does not",
    "SUPABASE_URL": "with `SUPABASE_DB_PASSWORD`: a Supabase project's URL, from which the direct "
    "connection string is derived",
    "SUPABASE_DB_PASSWORD": "the password for `SUPABASE_URL`; a secret",
    "SUPABASE_SERVICE_ROLE_KEY": "the key of Supabase's REST gateway, which carsync does not use; "
    "if only this variable is set, an error says where to find the connection string",
    "STATE_DIRECTORY": "the folder of the checkpoint, set by systemd (`StateDirectory=`)",
    "XDG_STATE_HOME": "without `STATE_DIRECTORY`: the checkpoint is in `$XDG_STATE_HOME/carsync`, "
    "or in `~/.local/state/carsync`",
    "PGHOST": "the host of the database, if the connection string has none (libpq reads it)",
    "PGHOSTADDR": "its address, likewise",
    "PGPORT": "the port of the database, likewise",
    "PGUSER": "the role, likewise",
    "PGDATABASE": "the name of the database, likewise",
    "PGSERVICE": "the name of a service in libpq's own file, likewise",
    "CARSYNC_LOG_FORMAT": "`text` or `json`; `--log-format` wins",
    "JOURNAL_STREAM": "set by systemd: lines for its journal have a priority and no time",
    "MONITOR_SERVICE_RESULT": "set by systemd for a unit started by `OnFailure=`: the "
    "result that `carsync notify --unit` reports",
    "MONITOR_EXIT_STATUS": "set by systemd: the exit code of the unit that failed",
    "PYTHONSAFEPATH": "set by carsync itself, so that its workers import nothing from the current "
    "folder",
    "NO_COLOR": "if not empty: no colours, anywhere",
    "FORCE_COLOR": "if not empty: colours also if the output is not a terminal; `NO_COLOR` wins",
    "CI": "if set, and not empty, `0` or `false`: lines instead of the live view",
    "TERM": "`dumb` and `unknown`: lines instead of the live view",
}
"""Environment variables that set no key, and what each one does."""

_SUPABASE = {"supabase.co", "supabase.in", "supabase.net"}


def environment_layer(environ: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    """Give (variable, key, value) for the variables that always work, Supabase's included."""
    for name, path in VARIABLES.items():
        if environ.get(name):
            yield name, path, environ[name]
    if environ.get("DATABASE_URL"):
        return
    if environ.get("SUPABASE_DB_URL"):
        yield "SUPABASE_DB_URL", "database.dsn", environ["SUPABASE_DB_URL"]
    elif environ.get("SUPABASE_URL") and environ.get("SUPABASE_DB_PASSWORD"):
        dsn = _supabase_dsn(environ["SUPABASE_URL"], environ["SUPABASE_DB_PASSWORD"])
        yield "SUPABASE_URL", "database.dsn", dsn


def _supabase_dsn(url: str, password: str) -> str:
    """Derive the direct connection string of a Supabase project from its URL.

    >>> _supabase_dsn("https://abcd.supabase.co", "p/w")
    'postgresql://postgres:p%2Fw@db.abcd.supabase.co:5432/postgres?sslmode=require'
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    reference, _, domain = host.partition(".")
    if not reference or domain not in _SUPABASE:
        raise ConfigError(
            "SUPABASE_URL is not a Supabase project URL",
            detail=f"got host {host!r}",
            hint="it looks like https://PROJECT.supabase.co; for anything else set DATABASE_URL",
        )
    secret = quote(password, safe="")
    return f"postgresql://postgres:{secret}@db.{reference}.{domain}:5432/postgres?sslmode=require"


def supabase_hint(environ: Mapping[str, str]) -> str:
    """Say which of Supabase's variables are missing if only some are set; empty otherwise."""
    if environ.get("SUPABASE_SERVICE_ROLE_KEY"):
        return (
            "SUPABASE_SERVICE_ROLE_KEY opens Supabase's REST gateway, which carsync does not use; "
            "copy the connection string from Supabase: project → Connect → Session pooler, "
            "and set it as SUPABASE_DB_URL"
        )
    if environ.get("SUPABASE_URL"):
        return "SUPABASE_URL alone is not enough: set SUPABASE_DB_PASSWORD too, or SUPABASE_DB_URL"
    return ""
