"""The way to the feed judged: name and certificate."""

from __future__ import annotations

from msgspec.structs import replace

from carsync.doctor import way_checks
from carsync.doctor.way_checks import Certificate, Lookup
from carsync.doctor.way_facts import PLAIN_HTTP
from tests.support.findings import bad, judged
from tests.support.findings import keyed_config as config


def test_names_and_certificates_are_judged() -> None:
    assert bad(judged(way_checks.judge_lookup, Lookup("a.test", ["192.0.2.1"], 0.01))) == {}
    assert (
        "warning" in bad(judged(way_checks.judge_lookup, Lookup("a.test", ["192.0.2.1"], 3)))["DNS"]
    )
    unknown = Lookup("a.test", error="Name or service not known")
    assert "typing error" in bad(judged(way_checks.judge_lookup, unknown))["DNS"]

    fine = Certificate("", 80.5, "A CA", "TLSv1.3")
    assert bad(judged(way_checks.judge_certificate, fine)) == {}
    assert judged(way_checks.judge_certificate, fine)[0].seen.endswith("valid for 80 days more")
    soon = bad(judged(way_checks.judge_certificate, replace(fine, days_left=3.9)))["TLS"]
    assert soon.startswith("warning")
    assert "3 days" in soon
    for words, fix in (
        ("certificate has expired", "must renew"),
        (PLAIN_HTTP.error, "http://"),
        ("self-signed certificate", "api.ca_bundle"),
        ("unable to get local issuer certificate", "whole chain"),
        ("Hostname mismatch, certificate is not valid for 'x'", "api.base_url"),
    ):
        assert fix in bad(judged(way_checks.judge_certificate, Certificate(words)))["TLS"]

    plain = bad(judged(lambda f: way_checks.judge_plain_http(f, config(), is_local=False)))
    assert "is sent unencrypted" in plain["TLS"]
    assert bad(judged(lambda f: way_checks.judge_plain_http(f, config(), is_local=True))) == {}
