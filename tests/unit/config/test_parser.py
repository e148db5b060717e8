"""The configuration: who wins, what is refused and in which words, and that secrets stay secret."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.keys import SECRET_KEYS
from carsync.config.mapping_sections import MappingRules
from carsync.config.parser import parse
from carsync.config.presets.loader import resolve
from carsync.config.sections import Config
from carsync.errors import ConfigError
from tests.support.configs import ENVIRONMENT, HUSH, assert_silent, refused

DEFAULTS = Config(mapping=resolve(MappingRules()))


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
        ("${V:-}", {}, Config().sync.source),
        ("${V}", {"V": ""}, Config().sync.source),
    ],
)
def test_references_are_replaced_once_and_an_empty_one_leaves_the_default(
    text: str, environ: dict[str, str], read: str
) -> None:
    assert parse(f"sync: {{source: '{text}'}}", environ).sync.source == read


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
        ("api: {timeout: {connect_s: 10000000000}}", "api.timeout.connect_s", "10000000000"),
        ("api: {max_body_bytes: 99999999999}", "api.max_body_bytes", "99999999999"),
        ("limits: 5", "limits", "5"),
        ("sync: {deactivate: {max_share: 10}}", "sync.deactivate.max_share", "10"),
        ("sync: {mode: increment}", "sync.mode", "'increment'"),
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


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('sync: {source: "a\\0"}', "sync.source"),
        ('mapping: {hash: {fields: ["\\0"]}}', "mapping.hash.fields[0]"),
    ],
)
def test_nul_is_refused_wherever_it_stands(text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(key)} in .*NUL character"):
        parse(text, {})


def test_a_wrong_value_is_blamed_on_the_place_it_came_from() -> None:
    file = "limits: {concurrency: 4}"
    assert "in the variable CONCURRENCY: " in refused(file, {"CONCURRENCY": "x"}).problem
    assert "in --set: " in refused(file, {"CONCURRENCY": "5"}, "limits.concurrency=x").problem
    error = refused("limits: 5", {"RPS": "5"})
    assert error.problem.startswith("limits in prod.yaml: ")
    assert "the variable RPS" in error.detail
    assert refused(file, {}, "limit.burst=3").problem == "unknown key limit in --set"
    assert refused(file, {}, "limits=5", "limits.burst=3").problem.startswith("limits in --set: ")
    assert refused(file, {}, "api.a.b=3").problem == "unknown key api.a in --set"


@pytest.mark.parametrize(
    ("environ", "override", "who"),
    [
        ({"DATABASE_URL": "postgresql://u:p@w@h/d"}, "api.path=/a", "the variable DATABASE_URL"),
        ({"API_BASE_URL": "ftp://x"}, "api.path=/a", "the variable API_BASE_URL"),
        ({"API_BASE_URL": "http://x"}, "api.path=a b", "--set"),
        ({"CONCURRENCY": "2"}, "limits.fetcher_processes=3", "--set"),
        ({"API_KEY": "a\nb"}, "api.path=/a", "the variable API_KEY"),
    ],
)
def test_what_the_relations_refuse_names_who_set_it(
    environ: dict[str, str], override: str, who: str
) -> None:
    error = refused("limits: {concurrency: 4}", environ, override)
    assert error.problem.endswith(f" (set by {who})")
    assert "prod.yaml" not in error.problem


def test_what_the_file_itself_says_wrong_is_blamed_on_nobody_else() -> None:
    error = refused("api: {base_url: 'ftp://x'}", {"RPS": "5"})
    assert error.problem == "api.base_url is not an http(s) URL"


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
