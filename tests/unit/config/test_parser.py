"""The configuration: who wins, what is refused and in which words, and that secrets stay secret."""

from __future__ import annotations

import contextlib
import copy
import pickle
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.environment import VARIABLES, supabase_hint
from carsync.config.keys import SECRET_KEYS, json_schema, keys
from carsync.config.parser import parse
from carsync.config.presets.loader import resolve
from carsync.config.sections import Config, MappingRules
from carsync.errors import ConfigError
from carsync.exit_codes import ExitCode
from carsync.redaction import Secret
from tests.support.folders import ROOT

FILES = ROOT / "config"
DEFAULTS = Config(mapping=resolve(MappingRules()))
EXAMPLE = FILES / "carsync.example.yaml"
PROD = FILES / "prod.yaml"
ENVIRONMENT = {
    "API_BASE_URL": "https://feed.example.com/v1",
    "API_KEY": "k-123",
    "DATABASE_URL": "postgresql://u:p@db.example.com/cars",
}


def value(config: Config, path: str) -> Any:
    """Return what `config` holds at a dotted key."""
    found: Any = msgspec.to_builtins(config, enc_hook=lambda secret: secret.reveal())
    for name in path.split("."):
        found = found[name]
    return found


def refused(text: str = "", environ: dict[str, str] | None = None, *overrides: str) -> ConfigError:
    """Return the error that parsing ends with."""
    with pytest.raises(ConfigError) as caught:
        parse(text, environ or {}, overrides, origin="prod.yaml")
    assert caught.value.exit_code is ExitCode.CONFIG
    return caught.value


# Who wins


def test_nothing_at_all_gives_the_defaults() -> None:
    assert parse("", {}) == DEFAULTS
    assert parse("# only a comment", {}) == DEFAULTS


def test_an_option_wins_over_a_variable_that_over_the_file_that_over_the_default() -> None:
    file = "limits: {concurrency: 2, requests_per_second: 3, burst: 4}"
    config = parse(file, {"CONCURRENCY": "5", "RPS": "6"}, ["limits.concurrency=7"])
    limits = config.limits
    assert (limits.concurrency, limits.requests_per_second, limits.burst) == (7, 6.0, 4)
    assert limits.retry == Config().limits.retry


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("API_BASE_URL", "https://feed.example.com", "https://feed.example.com"),
        ("API_KEY", "12345", "12345"),
        ("CONCURRENCY", "3", 3),
        ("RPS", "0", 0.0),
        ("PAGE_SIZE", "250", 250),
        ("BATCH_SIZE", "1000", 1000),
        ("PARALLEL_BATCHES", "2", 2),
        ("DATABASE_URL", "postgresql://h/d", "postgresql://h/d"),
        ("CARSYNC_NOTIFY_URL", "https://hooks.example.com/x", "https://hooks.example.com/x"),
    ],
)
def test_each_variable_sets_its_key(name: str, text: str, read: object) -> None:
    assert value(parse("", {name: text}), VARIABLES[name]) == read
    assert value(parse("", {name: ""}), VARIABLES[name]) == value(Config(), VARIABLES[name])


def test_the_parameters_above_name_every_variable() -> None:
    mark = test_each_variable_sets_its_key.pytestmark[0]  # type: ignore[attr-defined]
    assert {name for name, _, _ in mark.args[1]} == set(VARIABLES)
    assert set(VARIABLES.values()) <= set(keys())


def test_an_option_may_set_any_yaml_value() -> None:
    options = ["mapping.columns.color={path: paint}", "acceptance.max_minutes=null"]
    config = parse("mapping: {columns: {vin: null}}", {}, options)
    color = config.mapping.columns["color"]
    assert color is not None
    assert color.path == "paint"
    assert config.mapping.columns["vin"] is None
    assert config.acceptance.max_minutes is None


def test_a_section_whose_keys_are_all_commented_out_has_its_defaults() -> None:
    assert parse("api:\nlimits:\n  retry:\n  # base_s: 2\n", {}) == DEFAULTS


# ${NAME}


@pytest.mark.parametrize(
    ("text", "environ", "read"),
    [
        ("${V}", {"V": "/a"}, "/a"),
        ("${V:-/b}", {"V": "/a"}, "/a"),
        ("${V:-/b}", {"V": ""}, "/b"),
        ("${V:-/b}", {}, "/b"),
        ("/x/${V}/${W:-w}", {"V": "v"}, "/x/v/w"),
        ("${V}", {"V": "${W}"}, "${W}"),
        ("$V and {V}", {"V": "/a"}, "$V and {V}"),
        ("${V:-}", {}, Config().api.path),
        ("${V}", {"V": ""}, Config().api.path),
    ],
)
def test_references_are_replaced_once_and_an_empty_one_leaves_the_default(
    text: str, environ: dict[str, str], read: str
) -> None:
    assert parse(f"api: {{path: '{text}'}}", environ).api.path == read


def test_a_reference_fills_numbers_booleans_and_lists() -> None:
    config = parse(
        "limits: {concurrency: '${N}'}\n"
        "database: {auto_migrate: '${B:-false}'}\n"
        "mapping: {hash: {fields: [make, '${F}', '${G:-}']}}",
        {"N": "4", "F": "model"},
    )
    assert config.limits.concurrency == 4
    assert config.database.auto_migrate is False
    assert config.mapping.hash_.fields == ["make", "model"]


def test_a_missing_variable_is_named_with_its_key() -> None:
    error = refused("api: {auth: {key: '${FEED_KEY}'}}")
    assert "api.auth.key" in error.problem
    assert "FEED_KEY" in error.problem
    assert "${FEED_KEY:-" in error.hint


# What is refused, and in which words


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("limits: {concurency: 4}", "limits.concurency", "limits.concurrency"),
        ("limit: {concurrency: 4}", "limit", "limits"),
        ("api: {page_size: 50}", "api.page_size", "api.pagination.page_size"),
        ("rps: 5", "rps", ""),
        ("sync: {deactivate: {maxshare: 1}}", "sync.deactivate.maxshare", "max_share"),
        ("mapping: {columns: {vin: {pth: x}}}", "mapping.columns.vin.pth", "columns.vin.path"),
        ("database: {passwd: x}", "database.passwd", ""),
        ("1: 2", "1", ""),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(text: str, key: str, near: str) -> None:
    error = refused(text)
    assert error.problem == f"unknown key {key} in prod.yaml"
    assert near in error.hint
    assert error.hint.startswith("did you mean" if near else "known keys: ")


@pytest.mark.parametrize(
    ("text", "key", "shown"),
    [
        ("limits: {concurrency: four}", "limits.concurrency", "'four'"),
        ("limits: {concurrency: 0}", "limits.concurrency", "0"),
        ("limits: {concurrency: 1.5}", "limits.concurrency", "1.5"),
        ("limits: {concurrency: null}", "limits.concurrency", "None"),
        ("limits: {requests_per_second: -1}", "limits.requests_per_second", "-1"),
        ("limits: {requests_per_second: .inf}", "limits.requests_per_second", "inf"),
        ("limits: {requests_per_second: .nan}", "limits.requests_per_second", "nan"),
        ("api: {timeout: {total_s: .inf}}", "api.timeout.total_s", "inf"),
        ("limits: 5", "limits", "5"),
        ("sync: {deactivate: {max_share: 10}}", "sync.deactivate.max_share", "10"),
        ("sync: {mode: incremental}", "sync.mode", "'incremental'"),
        ("database: {table: 'a b'}", "database.table", "'a b'"),
        ("mapping: {columns: {id: {}, vin: {type: txt}}}", "mapping.columns.vin.type", "'txt'"),
        ("mapping: {columns: {vin: 5}}", "mapping.columns.vin", "5"),
        ("mapping: {hash: {fields: [make, 5]}}", "mapping.hash.fields[1]", "5"),
        ("api: {params: {a: 1, b: [1]}}", "api.params.b", "[1]"),
        ("api: {path: 5}", "api.path", "5"),
    ],
)
def test_a_wrong_value_is_shown_with_its_key(text: str, key: str, shown: str) -> None:
    error = refused(text)
    assert error.problem.startswith(f"{key} in prod.yaml: ")
    assert error.detail == f"its value is {shown}"
    assert error.hint


def test_a_wrong_value_is_blamed_on_the_place_it_came_from() -> None:
    file = "limits: {concurrency: 4}"
    assert "in the variable CONCURRENCY: " in refused(file, {"CONCURRENCY": "x"}).problem
    assert "in --set: " in refused(file, {"CONCURRENCY": "5"}, "limits.concurrency=x").problem
    error = refused("limits: 5", {"RPS": "5"})
    assert error.problem.startswith("limits in prod.yaml: ")
    assert "the variable RPS" in error.detail


def test_a_key_with_few_choices_names_them() -> None:
    assert "execute_values, copy" in refused("database: {load_method: fast}").hint
    assert "xxh3_128, md5" in refused("mapping: {hash: {algorithm: sha1}}").hint


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("limits:\n  burst: 4\n retry: {}", "line 3"),
        ("a: b: c", "line 1"),
        ("api: {path: 'x\0'}", ""),
        ("api: !!python/object:os.system {}", "line 1"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(text: str, where: str) -> None:
    error = refused(text)
    assert error.problem.startswith("prod.yaml is not valid YAML")
    assert where in error.problem
    assert error.detail


@pytest.mark.parametrize("text", ["[1]", "text", "5", "a: &a [*a]", "[" * 5000])
def test_what_is_no_mapping_of_sections_is_refused(text: str) -> None:
    assert refused(text).problem.startswith("prod.yaml ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("api: {base_url: feed.example.com}", "not an http(s) URL"),
        ("api: {base_url: 'ftp://feed.example.com'}", "not an http(s) URL"),
        ("api: {base_url: 'https://[::1/x'}", "not an http(s) URL"),
        ("api: {base_url: 'https://h:99999/x'}", "not an http(s) URL"),
        ("api: {base_url: 'https://u@h/x'}", "user name or password"),
        ("api: {base_url: 'https://h/x?a=1'}", "must end before"),
        ("api: {record_path: /cars}", "api.record_path must hold {id}"),
        ('api: {auth: {key: "a\\nb"}}', "api.auth.key holds characters"),
        ("api: {auth: {key: ' a'}}", "api.auth.key holds characters"),
        ("limits: {fetcher_processes: 17}", "greater than limits.concurrency"),
    ],
)
def test_what_no_type_can_tell_is_refused_too(text: str, words: str) -> None:
    error = refused(text)
    assert words in error.problem
    assert error.hint


@pytest.mark.parametrize("override", ["limits.concurrency", "=4", "", " =4"])
def test_an_option_that_is_not_key_value_is_refused(override: str) -> None:
    assert "is not KEY=VALUE" in refused("", {}, override).problem


def test_an_option_below_a_plain_value_is_refused() -> None:
    assert refused("", {}, "limits.concurrency.x=5").problem.startswith("limits.concurrency")
    assert refused("database: {table: cars}", {}, "database.table.x=5").problem.startswith(
        "database.table in prod.yaml"
    )


@given(st.text(max_size=40), st.text(max_size=20))
def test_no_text_does_worse_than_a_configuration_error(text: str, override: str) -> None:
    with contextlib.suppress(ConfigError):
        parse(text, ENVIRONMENT, [override])


# Secrets

HUSH = "hush-7f3a"


def assert_silent(error: ConfigError) -> None:
    assert HUSH not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize(
    "text",
    [
        f"api: {{auth: {{key: [{HUSH}]}}}}",
        f"api: {{auth: {{keys: {HUSH}}}}}",
        f"api: {{auth: {{ky: {HUSH}}}}}",
        f"api: {{auth: {HUSH}}}",
        f"api: {{proxy: {{url: {HUSH}}}}}",
        f'api: {{auth: {{key: "{HUSH}\\n"}}}}',
        f"api: {{base_url: 'https://u:{HUSH}@h/x'}}",
        f"api: {{base_url: 'ftp://u:{HUSH}@h/x'}}",
        f"database: {{dns: {HUSH}}}",
        f"database: {{url: 'postgresql://u:{HUSH}@h/d'}}",
        f"database: {{schema: 'host=h password={HUSH}'}}",
        f"database: 'postgresql://u:{HUSH}@h/d'",
        f"postgresql://u:{HUSH}@h/d",
        f"api_token: {HUSH}",
    ],
)
def test_no_error_shows_a_secret_not_even_one_in_the_wrong_place(text: str) -> None:
    assert_silent(refused(text))


@pytest.mark.parametrize("key", [*SECRET_KEYS, "api", "api.auth", "database"])
def test_an_option_may_not_carry_a_secret(key: str) -> None:
    error = refused("", {}, f"{key}={{key: {HUSH}}}")
    assert "ps" in error.problem
    assert_silent(error)


def test_a_secret_shows_itself_to_nobody_who_does_not_ask() -> None:
    secret = Secret(HUSH)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>30}", "%s" % secret):  # noqa: UP031
        assert "***" in shown
        assert HUSH not in shown
    assert secret.reveal() == HUSH
    assert type(secret.reveal()) is str


def test_a_configuration_shows_no_secret_and_carries_it_to_a_child_process() -> None:
    environ = {"API_KEY": HUSH, "DATABASE_URL": f"postgresql://u:{HUSH}@h/d"}
    config = parse(f"api: {{proxy: 'http://u:{HUSH}@proxy:3128'}}", environ)
    for same in (config, pickle.loads(pickle.dumps(config)), copy.deepcopy(config)):
        assert same == config
        assert HUSH not in repr(same)
        for key in (same.api.auth.key, same.database.dsn, same.api.proxy):
            assert type(key) is Secret
            assert HUSH in key.reveal()
    with pytest.raises(TypeError):  # nothing encodes it by accident either
        msgspec.json.encode(config)


# Supabase

PROJECT = {"SUPABASE_URL": "https://abcd.supabase.co", "SUPABASE_DB_PASSWORD": "p/w@1"}


def dsn(environ: dict[str, str]) -> str | None:
    found = parse("", environ).database.dsn
    return found.reveal() if found else None


def test_supabase_variables_give_the_connection_string() -> None:
    derived = "postgresql://postgres:p%2Fw%401@db.abcd.supabase.co:5432/postgres?sslmode=require"
    assert dsn(PROJECT) == derived
    assert dsn({**PROJECT, "SUPABASE_DB_URL": "postgresql://pooler/d"}) == "postgresql://pooler/d"
    assert dsn({**PROJECT, "DATABASE_URL": "postgresql://h/d"}) == "postgresql://h/d"


@pytest.mark.parametrize("url", ["https://example.com", "https://[", "abcd", "https://supabase.co"])
def test_a_url_that_is_no_supabase_project_is_refused_without_its_password(url: str) -> None:
    error = refused("", {"SUPABASE_URL": url, "SUPABASE_DB_PASSWORD": HUSH})
    assert error.problem.startswith("SUPABASE_URL")
    assert "DATABASE_URL" in error.hint
    assert_silent(error)


def test_part_of_supabase_alone_says_what_is_missing() -> None:
    key = {"SUPABASE_URL": PROJECT["SUPABASE_URL"], "SUPABASE_SERVICE_ROLE_KEY": HUSH}
    assert dsn(key) is None
    assert "Session pooler" in supabase_hint(key)
    assert HUSH not in supabase_hint(key)
    assert "SUPABASE_DB_PASSWORD" in supabase_hint({"SUPABASE_URL": PROJECT["SUPABASE_URL"]})
    assert supabase_hint({}) == ""


def test_what_a_command_needs_is_asked_for_by_its_variable() -> None:
    with pytest.raises(ConfigError, match="API_BASE_URL"):
        Config().require_api()
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        Config().require_dsn()
    config = parse("", ENVIRONMENT)
    assert config.require_api() == ENVIRONMENT["API_BASE_URL"]
    assert config.require_dsn().reveal() == ENVIRONMENT["DATABASE_URL"]


# The files in config/ and the schema


def leaves(node: Any, prefix: str = "") -> dict[str, Any]:
    """Give the dotted keys of a file and their values; `params` and `columns` are values."""
    found: dict[str, Any] = {}
    for name, child in node.items():
        if isinstance(child, dict) and child:
            found |= leaves(child, f"{prefix}{name}.")
        else:
            found[prefix + name] = child
    return found


def test_the_example_lists_every_key_once_in_order() -> None:
    assert list(leaves(yaml.safe_load(EXAMPLE.read_text("utf-8")))) == keys()


def test_the_example_explains_every_key() -> None:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    for key in keys():
        name = re.escape(key.rpartition(".")[2])
        written = [line for line in lines if re.match(rf"\s+{name}: ", line)]
        assert written, key
        assert all(re.search(r"\S\s+# \S", line) for line in written), key


def test_the_example_holds_the_defaults() -> None:
    example = parse(EXAMPLE.read_text("utf-8"), {"API_BASE_URL": "https://h"})
    assert example == parse("", {"API_BASE_URL": "https://h"})


@pytest.mark.parametrize("file", [EXAMPLE, PROD], ids=lambda path: path.name)
def test_the_files_are_valid_by_the_schema(file: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert [
        error.message for error in validator.iter_errors(yaml.safe_load(file.read_text()))
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        "limits: {concurency: 4}",
        "limits: {concurrency: four}",
        "limits: {concurrency: 0}",
        "database: {load_method: fast}",
        "mapping: {columns: {vin: {type: txt}}}",
        "api: {auth: {key: 5}}",
    ],
)
def test_the_schema_refuses_what_carsync_refuses(text: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert not validator.is_valid(yaml.safe_load(text))
    assert refused(text)


def test_the_production_file_runs_with_only_environment_variables_set() -> None:
    text = PROD.read_text("utf-8")
    assert parse(text, ENVIRONMENT) == parse("", ENVIRONMENT)
    tuned = parse(text, {**ENVIRONMENT, "RPS": "5", "CONCURRENCY": "2", "PARALLEL_BATCHES": "1"})
    assert (tuned.limits.requests_per_second, tuned.limits.concurrency) == (5.0, 2)
    assert tuned.database.writers == 1
