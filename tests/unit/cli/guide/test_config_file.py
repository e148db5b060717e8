"""The file that `carsync init` writes: the parser accepts it, whatever was answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from carsync.cli.guide.answers import Answers, Looked
from carsync.cli.guide.config_file import write
from carsync.config.api_sections import Pagination
from carsync.config.parser import parse
from carsync.doctor.paging_guesses import Told
from carsync.doctor.paging_trial import Found
from carsync.mapping.discovery import find_page
from carsync.mapping.guessing import guess_columns
from carsync.mapping.mapper import Mapper
from carsync.source.pagination.base import load_paginator

NASTY = 'yes: "no" #\\ {id}'


@pytest.mark.parametrize("preset", ["auctionsapi", None])
@pytest.mark.parametrize("auth", ["header", "bearer", "none"])
def test_the_file_is_accepted_and_says_what_was_answered(preset: str | None, auth: Any) -> None:
    records = [{NASTY: n, "make": "Kia", "model": "a\nb: c", "price": n} for n in range(3)]
    shape = find_page({NASTY: records, "total": 30, "pages": 10})
    answers = Answers(
        base_url="https://api.test/v1",
        path="/list",
        auth=auth,
        auth_name="X-Key",
        schema="shop",
        table="yes",
        source=NASTY,
        preset=preset,
        md5=True,
        told=Told(size_param=""),
        requests_per_second=2.5,
    )
    paging = Found(Pagination(records=NASTY, size_param=None, total_records="total"), (NASTY,))
    guesses = guess_columns(records)
    looked = Looked(shape, paging, guesses) if preset is None else Looked()
    config = parse(write(answers, looked), {})
    assert (config.api.base_url, config.api.path) == ("https://api.test/v1", "/list")
    assert config.api.record is not None
    assert config.api.record.path == "/list/{id}"
    assert (config.api.auth.type, config.api.auth.key) == (auth, None)
    assert (config.database.schema, config.database.table) == ("shop", "yes")
    assert (config.sync.source, config.limits.requests_per_second) == (NASTY, 2.5)
    assert config.api.pagination.size_param is None
    assert config.mapping.hash_.algorithm == "md5"
    if preset is None:
        assert config.api.pagination.records == NASTY
        mapper = Mapper.load(config, load_paginator(config.api).paths)
        page = json.dumps({NASTY: records, "total": 30, "pages": 10}).encode()
        content = mapper.map_page(page)
        info = load_paginator(config.api).read(content.values, {})
        assert (len(content.rows), info.total_records) == (3, 30)
