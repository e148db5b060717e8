"""The configuration judged by itself."""

from __future__ import annotations

import pytest

from carsync.config.parser import parse
from carsync.doctor import config_checks
from carsync.doctor.config_checks import Origin
from tests.support.findings import bad
from tests.support.findings import keyed_config as config


def test_the_defaults_with_a_key_give_no_cause_for_worry() -> None:
    assert bad(config_checks.judge(config(), Origin("prod.yaml", ("RPS",)))) == {}


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("limits: {burst: 900}", "burst", "a burst of 900"),
        ("limits: {burst: 1}", "burst", "will not be reached"),
        ("limits: {requests_per_second: 0}", "rate", "no rate limit"),
        ("limits: {requests_per_second: 0, burst: 5}", "burst", "no effect"),
        ("database: {writers: 40}", "writers", "40 writers"),
        ("limits: {retry: {base_s: 90}}", "retries", "greater than cap_s"),
        ("sync: {deactivate: {max_share: 0.9}}", "deactivation", "max_share"),
        ("sync: {deactivate: {second_proof: none}}", "deactivation", "second_proof"),
        ("sync: {max_reject_share: 0.8}", "deactivation", "max_reject_share"),
    ],
)
def test_a_risky_value_is_a_warning_with_its_remedy(text: str, name: str, words: str) -> None:
    found = bad(config_checks.judge(config(text), Origin(None)))
    assert list(found)[-1] == name
    assert found[name].startswith("warning")
    assert words in found[name]
    assert not found[name].endswith("→ ")


def test_a_key_that_is_not_sent_or_not_there_and_time_outs_at_odds_are_told() -> None:
    odd = "api: {auth: {type: none, key: k}, timeout: {read_s: 90}}"
    assert set(bad(config_checks.judge(parse(odd, {}), Origin(None)))) == {"key", "time-outs"}
    assert "no key is set" in bad(config_checks.judge(parse("", {}), Origin(None)))["key"]
    missing = bad(config_checks.judge(config("api: {auth: {type: basic}}"), Origin(None)))["key"]
    assert "api.auth.username is not set → set API_USERNAME" in missing
    oauth = "api: {auth: {type: oauth2, client_id: c, client_secret: s, token_url: 'http://%s/t'}}"
    for host, is_told in (("login.example.com", True), ("127.0.0.1:8080", False)):
        told = bad(config_checks.judge(config(oauth % host), Origin(None)))
        assert ("sent unencrypted" in told.get("key", "")) == is_told
    headers = "api: {headers: {X-Client: c}}"
    assert "key" not in bad(config_checks.judge(parse(headers, {}), Origin(None)))
    exposed = bad(config_checks.judge(config(), Origin("x.yaml", (), exposed=True)))
    assert "chmod 600 x.yaml" in exposed["secrets"]
