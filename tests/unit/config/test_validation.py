"""Checks that no type can make."""

from __future__ import annotations

import re

import pytest

from carsync.config.api_sections import Auth
from carsync.config.parser import parse
from tests.support.configs import HUSH, assert_silent, refused
from tests.support.folders import ROOT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("api: {base_url: feed.example.com}", "not an http(s) URL"),
        ("api: {base_url: 'ftp://feed.example.com'}", "not an http(s) URL"),
        ("api: {base_url: 'https://[::1/x'}", "not an http(s) URL"),
        ("api: {base_url: 'https://h:99999/x'}", "not an http(s) URL"),
        ("api: {base_url: 'https://u@h/x'}", "user name or password"),
        ("api: {base_url: 'https://h/x?a=1'}", "must end before"),
        ("api: {record: {path: /cars}}", "api.record.path must contain {id}, or another column"),
        ("api: {removals: {path: sold at}}", "api.removals.path is not a path"),
        ("api: {removals: {path: /sold}}", "api.removals.at is missing"),
        ("api: {removals: {path: /sold, at: a, id: ''}}", "api.removals.id is missing"),
        ("api: {removals: {path: /s, at: a, params: {token: x}}}", "looks like a key"),
        ("api: {body: {make: Kia}}", "belong to api.method: POST"),
        ("api: {form: true}", "belong to api.method: POST"),
        ("api: {path: '@host/x'}", "api.path is not a path"),
        ("api: {path: '//host/x'}", "api.path is not a path"),
        ("api: {path: 'https://host/x'}", "api.path is not a path"),
        ("api: {path: ':8443/x'}", "api.path is not a path"),
        ("api: {path: '.host/x'}", "api.path is not a path"),
        ("api: {path: '/\\host'}", "api.path is not a path"),
        ('api: {path: "/x\\r\\nHost: h"}', "api.path is not a path"),
        ("api: {record: {path: '@host/{id}'}}", "api.record.path is not a path"),
        ("api: {base_url: 'https://h\\@host'}", "not an http(s) URL"),
        ('api: {base_url: "https://h\\t.host"}', "not an http(s) URL"),
        ("api: {base_url: 'https://@h/x'}", "user name or password"),
        ("api: {record: {gone_when: {archived: true}}}", "gone_when names archived"),
        ('api: {auth: {key: "a\\nb"}}', "api.auth.key contains characters"),
        ("api: {auth: {key: ' a'}}", "api.auth.key contains characters"),
        ('api: {auth: {type: basic, password: "a\\nb"}}', "api.auth.password contains characters"),
        ("api: {auth: {type: basic, username: 'a:b'}}", "username contains a colon"),
        ('api: {auth: {prefix: "To\\nken"}}', "api.auth.prefix contains characters"),
        ("api: {auth: {type: oauth2}}", "api.auth.token_url is not set"),
        ("api: {auth: {type: oauth2, token_url: /token}}", "token_url is not an http(s) URL"),
        ("api: {auth: {type: oauth2, token_url: 'https://u:p@h/'}}", "token_url is not an"),
        ("api: {auth: {token_url: 'https://h/'}}", "token_url has no meaning for api.auth.type"),
        ("api: {auth: {type: login}}", "api.auth.path is not set"),
        ("api: {window: {param: since, zone: Mars/Base}}", "there is no zone 'Mars/Base'"),
        ("api: {window: {param: since, format: '%H:%M'}}", "does not say a time"),
        ("api: {window: {param: since, format: '%Y %Y'}}", "does not say a time"),
        ("api: {window: {param: since, overlap: 15}}", "api.window.overlap"),
        ("api: {auth: {type: login, path: '//h/x'}}", "api.auth.path is not a path"),
        ("api: {auth: {type: login, path: /x, expires_in: a, expires_at: b}}", "both set"),
        ("api: {auth: {type: login, path: /x, header: 'A B'}}", "api.auth.header is not the name"),
        ("api: {headers: {'A B': x}}", "is not the name of an HTTP header"),
        ('api: {headers: {A: "x\\ny"}}', "api.headers.A contains characters"),
        ("api: {headers: {Accept-Encoding: br}}", "api.headers.Accept-Encoding cannot be set"),
        ("api: {headers: {x-api-key: k}, auth: {key: hush}}", "in which api.auth sends the key"),
        ("api: {client_key: /k.pem}", "api.client_key is set without api.client_cert"),
        ("limits: {fetcher_processes: 17}", "greater than limits.concurrency"),
        ("checkpoint: {path: ''}", "checkpoint.path names no file"),
        ("checkpoint: {path: ./}", "checkpoint.path names no file"),
        ("api: {auth: {name: 'X:Key'}}", "api.auth.name is not the name of an HTTP header"),
        ("api: {auth: {name: ''}}", "api.auth.name is not the name of an HTTP header"),
        ("api: {auth: {name: Schlüssel}}", "api.auth.name is not the name of an HTTP header"),
    ],
)
def test_what_no_type_can_tell_is_refused_too(text: str, words: str) -> None:
    error = refused(text)
    assert words in error.problem
    assert error.hint


@pytest.mark.parametrize(
    "text",
    [
        "api: {base_url: 'https://[::1]:8443/v1'}",
        "api: {base_url: 'http://feed.example.com'}",
        "api: {auth: {key: 'a b~!'}}",
        "api: {record: null}",
        "api: {auth: {type: basic, password: 'passwörd '}}",
        "api: {auth: {type: query, name: 'key[0]', key: 'a+b='}}",
        "api: {auth: {type: oauth2, token_url: 'https://h/t', body: {audience: x}}}",
        "api: {auth: {type: login, path: /login}, headers: {X-API-Key: k}}",
        "api: {headers: {X-API-Key: k, Accept: application/vnd.api+json}}",
        "api: {path: ''}",
        "api: {path: 'cars?at=12:30&by=@me', record: {path: '{id}'}}",
        "api: {record: {path: '/lot/{.lots[status=sale | 0].lot}/{domain_name}'}}",
        "api: {path: /users/@me/cars;x=1, record: {path: '/%7Bid%7D:{id}'}}",
        "api: {record: {gone_when: {.archived: true, status: [sold]}}}",
        "metrics: {textfile: /var/lib/x.prom}",
        "notify: {url: 'https://hooks.example.com/services/T/B'}",
        "limits: {fetcher_processes: 16}",
        "api: {path: \"/Property?$filter=City eq 'Seoul'\"}",
    ],
)
def test_what_fits_passes(text: str) -> None:
    parse(text, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("metrics: {textfile: /var/lib/x.txt}", "metrics.textfile must end in .prom"),
        (f"notify: {{url: 'ftp://h/{HUSH}'}}", "notify.url is not an http(s) URL"),
        (f"notify: {{ping_url: '{HUSH}'}}", "notify.ping_url is not an http(s) URL"),
        (f'notify: {{url: "https://h/{HUSH}\\n"}}', "notify.url is not an http(s) URL"),
        (f"notify: {{url: 'https://[{HUSH}'}}", "notify.url is not an http(s) URL"),
        (f"database: {{dsn: 'postgresql://u:{HUSH}@[h/x'}}", "database.dsn is not a connection"),
        (f"api: {{base_url: 'https://h/x#{HUSH}'}}", "must end before `?` and `#`"),
        (f"api: {{path: 'https://u:{HUSH}@h/x'}}", "api.path is not a path"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_without_a_secret(text: str, words: str) -> None:
    error = refused(text)
    assert words in error.problem
    assert_silent(error)


def test_the_examples_of_the_page_on_keys_are_accepted() -> None:
    page = (ROOT / "docs/keys.md").read_text("utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 5
    environ = {"API_KEY": HUSH, "API_PASSWORD": HUSH, "CLIENT": "c", "CREDENTIALS_DIRECTORY": "/x"}
    for example in examples:
        parse(example, environ)
    assert set(Auth.__struct_fields__) <= set(re.findall(r"\w+", page))


TLS = "tls: {ca: /ca.pem, cert: /cert.pem, key: /key.pem}"


@pytest.mark.parametrize(
    ("engine", "problem"),
    [
        ("type: dask", "engine.scheduler is not set"),
        ("type: dask, scheduler: 'http://h:1'", "engine.scheduler is no address"),
        ("type: dask, scheduler: '10.0.0.5:8786'", "engine.scheduler is no address"),
        ("type: dask, scheduler: 'tls://h'", "engine.scheduler is no address"),
        ("type: dask, scheduler: 'tls://h:port'", "engine.scheduler is no address"),
        ("type: dask, scheduler: 'tls://u@h:1'", "engine.scheduler is no address"),
        ("type: dask, scheduler: 'tls://h:1/x'", "engine.scheduler is no address"),
        ("type: dask, scheduler: 'tls://h:1'", "engine.tls.ca is not set"),
        ("type: dask, scheduler: 'tls://127.0.0.1:1', tls: {ca: /c}", "engine.tls.cert is not set"),
        ("type: dask, scheduler: 'tcp://10.0.0.5:8786'", "without TLS over a network"),
        (f"type: dask, scheduler: 'tcp://10.0.0.5:8786', {TLS}", "without TLS over a network"),
        ("scheduler: 'tcp://10.0.0.5:8786'", "without TLS over a network"),
        ("type: spark", "engine.type"),
        ("label: 'a b'", "engine.label"),
    ],
)
def test_a_cluster_that_cannot_be_reached_safely_is_refused(engine: str, problem: str) -> None:
    error = refused(f"engine: {{{engine}}}")
    assert problem in f"{error.problem} {error.detail}"
    assert error.hint or error.detail


@pytest.mark.parametrize(
    "engine",
    [
        "type: local",
        f"type: dask, scheduler: 'tls://10.0.0.5:8786', label: egress-a, {TLS}",
        f"type: dask, scheduler: 'tls://[2001:db8::5]:8786', {TLS}",
        "type: dask, scheduler: 'tcp://127.0.0.1:8786'",
        "type: dask, scheduler: 'tcp://[::1]:8786'",
        "type: dask, scheduler: 'tcp://localhost:8786'",
    ],
)
def test_a_cluster_may_do_without_tls_on_this_very_machine_alone(engine: str) -> None:
    parse(f"engine: {{{engine}}}", {})
