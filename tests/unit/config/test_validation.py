"""Checks that no type can make."""

from __future__ import annotations

import pytest

from tests.support.configs import refused


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
