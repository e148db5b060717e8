"""The sections: what is derived from them, and what they keep to themselves."""

from __future__ import annotations

import copy
import pickle

import msgspec
import pytest

from carsync.config.keys import secrets_of
from carsync.config.parser import parse
from carsync.config.sections import Config, Limits
from carsync.errors import ConfigError
from carsync.model import Target
from carsync.redaction import Secret, clean
from tests.support.configs import ENVIRONMENT, HUSH


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


def test_what_a_command_needs_is_asked_for_by_its_variable() -> None:
    with pytest.raises(ConfigError, match="API_BASE_URL"):
        Config().require_api()
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        Config().require_dsn()
    config = parse("", ENVIRONMENT)
    assert config.require_api() == ENVIRONMENT["API_BASE_URL"]
    assert config.require_dsn().reveal() == ENVIRONMENT["DATABASE_URL"]


@pytest.mark.parametrize(
    ("limits", "burst"),
    [
        (Limits(), 40),
        (Limits(requests_per_second=0.3), 1),
        (Limits(requests_per_second=0), 1),
        (Limits(burst=7), 7),
    ],
)
def test_the_burst_is_twice_the_rate_unless_it_is_set(limits: Limits, burst: int) -> None:
    assert limits.effective_burst == burst


@pytest.mark.parametrize(
    ("limits", "cores", "fetchers"),
    [
        (Limits(), 1, 1),
        (Limits(), 64, 4),
        (Limits(concurrency=3), 64, 3),
        (Limits(fetcher_processes=9), 1, 9),
    ],
)
def test_there_is_a_fetcher_a_core_up_to_four_unless_it_is_set(
    limits: Limits, cores: int, fetchers: int
) -> None:
    assert limits.fetchers(cores) == fetchers


def test_the_target_is_the_table_of_the_database_section() -> None:
    target = parse("database: {schema: shop, table: autos}", {}).target
    assert (target, str(target)) == (Target("shop", "autos"), "shop.autos")


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ("{type: basic}", "api.auth.username"),
        ("{type: login, path: /login}", "api.auth.username"),
        ("{type: oauth2, token_url: 'https://h/'}", "api.auth.client_id"),
        ("{type: oauth2, token_url: 'https://h/', client_id: c}", "api.auth.client_secret"),
        ("{type: oauth2, token_url: 'https://h/', grant: refresh_token}", "api.auth.refresh_token"),
    ],
)
def test_a_secret_that_a_request_needs_is_asked_for_before_the_first_one(
    auth: str, words: str
) -> None:
    config = parse(f"api: {{auth: {auth}}}", ENVIRONMENT)
    with pytest.raises(ConfigError, match=f"{words} is not set") as caught:
        config.require_api()
    assert words.rpartition(".")[2].upper() in caught.value.hint


def test_headers_and_fields_of_a_login_show_nothing_and_secret_ones_are_known_as_such() -> None:
    text = """
    api:
      headers: {X-Token: header-7f3a, X-Country: korea}
      auth: {type: login, path: /x, body: {email: me@example.com, pwd: body-7f3a}}
    """
    config = parse(text, ENVIRONMENT)
    assert not any(word in repr(config) for word in ("7f3a", "korea", "me@example.com"))
    assert clean("header-7f3a body-7f3a korea") == "*** *** korea"
    assert {"header-7f3a", "body-7f3a"} <= set(secrets_of(config))
