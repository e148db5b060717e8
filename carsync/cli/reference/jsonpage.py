"""The page of `--json`: a table for each answer, and for each record that answers hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec import inspect as types

from carsync.cli.reference.jsonwords import WORDS
from carsync.cli.reference.pages import MADE, as_page, table
from carsync.doctor.render import CheckAnswer
from carsync.formatting import JSON_VERSION
from carsync.reporting.answers.changes import (
    ChangeAnswer,
    ChangeWithRowAnswer,
    HeadAnswer,
    PresentCarAnswer,
)
from carsync.reporting.answers.edits import (
    ApproveAnswer,
    ApproveRunAnswer,
    RefreshAnswer,
    RejectsAnswer,
    ReplayAnswer,
    RevertAnswer,
)
from carsync.reporting.answers.encoding import ErrorAnswer
from carsync.reporting.answers.runs import (
    CarAnswer,
    ReportAnswer,
    RunAnswer,
    RunsAnswer,
    SyncAnswer,
)
from carsync.reporting.answers.status import NoCheckpointAnswer, StatusAnswer

_FAILED = "a command that failed"
ANSWERS: dict[str, tuple[type[Struct], ...]] = {
    "carsync check": (CheckAnswer,),
    "carsync sync": (SyncAnswer,),
    "carsync refresh": (RefreshAnswer,),
    "carsync status": (StatusAnswer, NoCheckpointAnswer),
    "carsync runs": (RunsAnswer,),
    "carsync runs --car ID": (CarAnswer,),
    "carsync runs show": (RunAnswer,),
    "carsync changes": (ChangeAnswer, ChangeWithRowAnswer, PresentCarAnswer, HeadAnswer),
    "carsync report": (ReportAnswer,),
    "carsync approve": (ApproveAnswer, ApproveRunAnswer),
    "carsync revert": (RevertAnswer,),
    "carsync rejects list": (RejectsAnswer,),
    "carsync rejects replay": (ReplayAnswer,),
    _FAILED: (ErrorAnswer,),
}
"""Command → the records that it prints with `--json`."""

OTHERS = {
    "carsync preview": "Lines of JSON, one row each: the columns of the table.",
    "carsync migrate": "An array of sentences: what was done; empty: there was nothing to do.",
    "carsync config show": "The effective configuration, with `***` for each secret.",
    "carsync config schema": "The JSON Schema of the configuration file.",
}
"""Commands whose JSON has the names of the user's table or file, and no version."""

_INTRODUCTION = f"""\
With `--json` a command prints one object on standard output; `carsync status --watch` and
`carsync changes` print one per line. Each object has `json_version`, now {JSON_VERSION}. Fields
are only added. If a field goes or changes its meaning, `json_version` grows. Times are ISO 8601
in UTC, names that end in `_s` are seconds, and null means that nothing can be said. The words of
sentences may change.

A thing has the same name in every object. Where an older name is still there, the table calls it an
old name: new programs do not read it.

If a command fails, standard output has `{{"error": …}}` instead, and standard error has the same
words. A run that ended with an error has a summary as every run, with `problem`, `detail`, `hint`
and `exit_code`. `carsync check` prints its findings always.
"""


def json_page() -> str:
    """Return the page of all that commands print with `--json`."""
    lines = ["# What `--json` prints", "", MADE, "", *_INTRODUCTION.splitlines()]
    for command, answers in ANSWERS.items():
        lines += ["", f"## {command}"]
        for answer in answers:
            lines += ["", *_record(answer)]
    for command, words in OTHERS.items():
        lines += ["", f"## {command}", "", words]
    lines += ["", "## Records", "", "What the answers above hold, by name."]
    for record in sorted(records(), key=_title):
        if not any(record in answers for answers in ANSWERS.values()):
            lines += ["", f"### {_title(record)}", "", *_record(record)]
    return as_page(lines)


def records() -> list[type[Struct]]:
    """Return all records that answers are, or hold."""
    found: dict[type[Struct], None] = {}
    for answer in types.multi_type_info([each for some in ANSWERS.values() for each in some]):
        _collect(answer, found)
    return list(found)


def explain(record: type[Struct], name: str) -> str:
    """Return what a field of a record is; the words of the nearest base are the record's too."""
    keys = [f"{each.__name__}.{name}" for each in record.__mro__]
    return next((WORDS[key] for key in (*keys, name) if key in WORDS), "")


def kind(field: Any) -> str:
    """Name a type as a reader of JSON would, with a link for a record."""
    match field:
        case types.UnionType():
            return " or ".join(dict.fromkeys(map(kind, field.types)))
        case types.NoneType():
            return "null"
        case types.BoolType():
            return "true or false"
        case types.IntType():
            return "integer"
        case types.FloatType():
            return "number"
        case types.DateTimeType():
            return "time"
        case types.LiteralType():
            return " or ".join(f"`{value}`" for value in field.values)
        case types.EnumType():
            return " or ".join(f"`{each.value}`" for each in field.cls)
        case types.StructType():
            title = _title(field.cls)
            return f"[{title}](#{title.lower()})"
        case types.DictType():
            return f"{kind(field.value_type)}, by name"
        case types.TupleType():
            return "pair"
        case types.AnyType():
            return "any"
    return f"list of {kind(field.item_type)}" if hasattr(field, "item_type") else "text"


def _title(record: type[Struct]) -> str:
    return record.__name__.removesuffix("Answer")


def _record(record: type[Struct]) -> Iterator[str]:
    yield " ".join((record.__doc__ or "").split("\n\n")[0].split())
    yield ""
    (info,) = types.multi_type_info([record])
    assert isinstance(info, types.StructType)
    rows = [
        (f"`{field.encode_name}`", kind(field.type), explain(record, field.encode_name))
        for field in info.fields
    ]
    yield from table(("field", "value", "what it is"), rows)


def _collect(field: Any, found: dict[type[Struct], None]) -> None:
    """Add the records that a type is, or holds."""
    if isinstance(field, types.StructType):
        if field.cls not in found:
            found[field.cls] = None
            for each in field.fields:
                _collect(each.type, found)
        return
    inner = [getattr(field, name, None) for name in ("item_type", "key_type", "value_type")]
    for each in (*inner, *getattr(field, "types", ()), *getattr(field, "item_types", ())):
        if each is not None:
            _collect(each, found)
