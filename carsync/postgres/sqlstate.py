"""What an error of PostgreSQL means to an operator: its class by culprit, and what to do.

Pure: it sees the SQLSTATE and the words. The codes are those of PostgreSQL's manual,
appendix A; errors of libpq, which come before there is a server, have words only.
"""

from __future__ import annotations

import re

from carsync.errors import (
    DatabaseBusyError,
    DatabaseConflictError,
    DatabaseError,
    DatabasePermissionError,
    DatabaseUnavailableError,
    UnmergeableError,
)

_REASON_CHARS = 500
_GONE = frozenset({"57P01", "57P02", "57P03", "53300", "25P03", "25P04"})
_CONFLICT = frozenset({"40001", "40P01"})
_NO_ROW = re.compile("0[0-38A]|2[568]|3[DF]|4[02]|5[3578]|72|F0|HV|XX")
"""Classes of codes that say nothing of a row's values: they are the server's, the connection's or
the statement's. All others, those that a trigger makes up included, are about the row."""
_READS_ANEW = "the next run reads the feed anew"


def explain(code: str, said: str, doing: str) -> DatabaseError:
    """Give the error for a statement that the server answered with SQLSTATE `code`.

    >>> explain("3D000", 'database "x" does not exist', "connecting").hint
    'the database named in DATABASE_URL does not exist'
    """
    kind: type[DatabaseError] = DatabaseError
    if code == "42501":
        kind = DatabasePermissionError
    elif code == "55P03":
        kind = DatabaseBusyError
    elif code in _CONFLICT:
        kind = DatabaseConflictError
    elif is_refusal(code):
        kind = UnmergeableError
    elif code[:2] in {"08", "28", "3D"} or code in _GONE:
        kind = DatabaseUnavailableError
    return kind(
        f"PostgreSQL refused while {doing}",
        detail=f"{said} (SQLSTATE {code})",
        hint=_hint(code, said),
    )


def is_refusal(code: str) -> bool:
    """Tell whether a row's values are refused: by a type, a constraint, an index or a trigger.

    >>> is_refusal("23505"), is_refusal("PT409"), is_refusal("40P01")
    (True, True, False)
    """
    return not _NO_ROW.match(code)


def explain_refusal(exc: BaseException) -> tuple[str | None, str]:
    """Return which column refused a value, if the server says so, and why, in one line.

    COPY names the column in the error's context (manual, COPY, "Notes"), in the server's
    language: "COPY cars, Zeile 1, Spalte price: …".
    """
    diagnostics = getattr(exc, "diag", None)
    said = getattr(diagnostics, "message_primary", None) or str(exc) or type(exc).__name__
    column = getattr(diagnostics, "column_name", None)
    in_copy = re.search(
        r"^COPY [^,]+, \S+ \d+, \S+ (.+?) ?:", getattr(diagnostics, "context", None) or ""
    )
    if column is None and in_copy:
        column = in_copy.group(1)
    return column, said.strip().partition("\n")[0][:_REASON_CHARS]


def no_connection(said: str, doing: str) -> DatabaseUnavailableError:
    """Give the error for a connection that could not be made, or broke."""
    return DatabaseUnavailableError(
        f"no connection to PostgreSQL while {doing}", detail=said, hint=_connection_hint(said)
    )


def unreadable_dsn() -> DatabaseError:
    """Give the error for a connection string that libpq cannot read, without quoting it."""
    return DatabaseError(
        "the connection string cannot be read",
        detail="libpq calls it an invalid dsn",
        hint="it looks like postgresql://USER:PASSWORD@HOST:5432/DB; write special "
        "characters of the password as %XX",
    )


_CONNECTION_HINTS = (
    (
        ("could not translate host name", "Name or service not known"),
        "the host name in DATABASE_URL is not known: look for a typing error in it",
    ),
    (
        ("Connection refused", "No such file or directory"),
        "nothing listens there: is PostgreSQL running, are host and port right?",
    ),
    (
        ("password authentication failed", "no password supplied", "SASL", "SCRAM"),
        "user name or password in DATABASE_URL is wrong",
    ),
    (("no pg_hba.conf entry",), "the server's pg_hba.conf does not let this host or user in"),
    (("Tenant or user not found",), "Supabase's pooler wants the user as postgres.PROJECT"),
    (
        ("client certificate",),
        "the server wants a certificate of the client: sslcert and sslkey in DATABASE_URL",
    ),
    (
        ("certificate",),
        "it is not proved that this is the server: sslrootcert in DATABASE_URL must name the file "
        "of its authority, and the host must be one that its certificate names",
    ),
    (("SSL",), "see sslmode in the connection string, e.g. ?sslmode=require"),
    (("invalid",), "libpq does not take this value: correct it in DATABASE_URL"),
    (
        (
            "too many",
            "remaining connection slots",
            "max clients reached",
            "MaxClients",
            "no more connections allowed",
        ),
        "the server is out of connections: lower database.writers, or close other clients",
    ),
    (
        ("timeout expired", "timed out", "Network is unreachable"),
        "the server does not answer: firewall, or on Supabase an IPv6-only host (use the "
        "session pooler's connection string)",
    ),
    (("does not exist",), "the database or role in DATABASE_URL does not exist"),
)


def _connection_hint(said: str) -> str:
    for signs, hint in _CONNECTION_HINTS:
        if any(sign in said for sign in signs):
            return hint
    return "run the command again when the server is back: it resumes"


_HINTS = {
    "28P01": "user name or password in DATABASE_URL is wrong",
    "28000": "this user may not log in there: see the server's pg_hba.conf",
    "3D000": "the database named in DATABASE_URL does not exist",
    "42501": "an owner must grant it: SELECT, INSERT and UPDATE on the table, CREATE on the "
    "database (for schema carsync)",
    "42703": "the table lacks a column: run `carsync migrate`",
    "42P01": "a table is missing: run `carsync migrate`",
    "3F000": "a schema is missing: run `carsync migrate`",
    "0A000": "rules of the table are in the way: drop them (`carsync check` names them)",
    "55000": "where the table is published, give it a PRIMARY KEY or REPLICA IDENTITY FULL",
    "55P03": "another session holds a lock on the table: see pg_stat_activity, or raise "
    "database.lock_timeout_s",
    "57014": "a statement was cancelled or ran into statement_timeout",
    "25P03": "the session was idle in a transaction for too long",
    "40P01": "two sessions waited for each other: run again, it resumes",
    "40001": "another session wrote the same rows: run again, it resumes",
    "53100": "the disk of the database server is full: free space there, then run again, it "
    "resumes",
    "53200": "the server is out of memory",
    "53300": "the server is out of connections: lower database.writers",
    "25006": "the server is read-only: is it a standby?",
    "22001": "a text is longer than the table's column: widen the column (type text)",
    "23502": "the table has a NOT NULL column that the mapping leaves empty",
    "23505": "the table has a further unique index that the feed's records violate",
    "23514": "a CHECK constraint of the table refuses the feed's values",
}


def _hint(code: str, said: str) -> str:
    if "row-level security" in said:
        return (
            "row-level security hides rows from this role: connect as the table's owner or as a "
            "role with BYPASSRLS"
        )
    if is_refusal(code):
        return "; ".join(filter(None, (_HINTS.get(code), _READS_ANEW)))
    if code in _HINTS:
        return _HINTS[code]
    return _connection_hint(said) if code[:2] in {"08", "57"} else "run again: it resumes"
