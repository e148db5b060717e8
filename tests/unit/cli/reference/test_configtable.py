"""The table of the configuration's keys: kinds and defaults in words, comments of the example."""

from __future__ import annotations

from carsync.cli.reference.configtable import Key, comments, parts
from carsync.config.keys import keys

PARTS = {part.path: part for part in parts("limits:\n  burst: null  # at once\n  #   burst: 5\n")}
KEYS = {key.path: key for part in PARTS.values() for key in part.keys}


def test_every_key_is_in_the_part_of_its_section() -> None:
    assert {key for key in KEYS if ".NAME." not in key} == set(keys())
    assert all(
        key.path.rpartition(".")[0] == part.path for part in PARTS.values() for key in part.keys
    )


def test_the_keys_of_a_column_are_a_part_of_their_own() -> None:
    part = PARTS["mapping.columns.NAME"]
    assert part.about.startswith("How one column gets its value.")
    assert {"mapping.columns.NAME.path", "mapping.columns.NAME.type"} <= {k.path for k in part.keys}


def test_kinds_and_defaults_are_words() -> None:
    told = {path: (key.kind, key.default) for path, key in KEYS.items()}
    assert told["limits.requests_per_second"] == ("number ≥ 0", "20")
    assert told["api.pagination.page_size"] == ("integer ≥ 1", "100")
    assert told["sync.max_reject_share"] == ("number ≥ 0 and ≤ 1", "0.05")
    assert told["api.auth.client_auth"] == ("`header` or `body`", "header")
    assert told["api.auth.key"] == ("secret text or null", "null")
    assert told["mapping.hash.algorithm"] == ("`xxh3_128` or `md5` or null", "null")
    assert told["database.schema"] == ("text, at most 63 long", "public")
    assert told["database.auto_migrate"] == ("true or false", "true")
    assert told["api.params"] == ("mapping", "{}")


def test_the_example_s_comment_explains_its_key() -> None:
    burst = KEYS["limits.burst"]
    assert burst == Key("limits.burst", "integer ≥ 1 or null", "null", "at once", ("burst: 5",))


def test_a_comment_belongs_to_the_key_above_it_alone() -> None:
    example = "a:\n  b: 1\n\n  # alone\n  c: 2  # two\nd:\n  c: 3  # three\n"
    assert comments(example) == {"a.c": ("two", ()), "d.c": ("three", ())}
