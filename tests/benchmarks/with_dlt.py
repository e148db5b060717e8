"""dlt on the same feed and columns: a resource of pages read by eight threads, merged by id.

Runs in an environment of its own that has `dlt[postgres]` and requests:

    PYTHON -P tests/benchmarks/with_dlt.py BASE_URL DSN
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dlt  # type: ignore[import-not-found]
import requests
from psycopg2.extensions import parse_dsn

sys.path.insert(0, str(Path(__file__).parent))
from afternoon import COLUMNS, to_row  # type: ignore[import-not-found]

THREADS = 8


@dlt.resource(  # type: ignore[untyped-decorator]
    name="cars",
    primary_key="id",
    write_disposition={"disposition": "merge", "strategy": "upsert"},
    columns={"images": {"data_type": "json"}},
)
def cars(base_url: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the feed's rows page by page."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))

    def fetch(page: int) -> tuple[list[dict[str, Any]], int]:
        answer = session.get(f"{base_url}/cars", params={"page": page, "per_page": 100}, timeout=30)
        answer.raise_for_status()
        body = answer.json()
        rows = [dict(zip(COLUMNS, to_row(record), strict=True)) for record in body["data"]]
        for row in rows:
            row["images"] = json.loads(row["images"])
        return rows, body["meta"]["last_page"]

    rows, last_page = fetch(1)
    yield rows
    with ThreadPoolExecutor(THREADS) as pool:
        for found, _ in pool.map(fetch, range(2, last_page + 1)):
            yield found


def _url(dsn: str) -> str:
    """Write a connection string as dlt wants it; libpq lets the query's host win."""
    parts = parse_dsn(dsn)
    place = f"{parts['user']}:none@localhost:{parts['port']}/{parts['dbname']}"
    return f"postgresql://{place}?host={quote(parts['host'], safe='')}"


def main(base_url: str, dsn: str) -> None:
    """Load the feed once; the pipeline's state is in the database."""
    pipeline = dlt.pipeline(
        "carsync_bench",
        destination=dlt.destinations.postgres(credentials=_url(dsn)),
        dataset_name="with_dlt",
    )
    pipeline.run(cars(base_url))


if __name__ == "__main__":
    main(*sys.argv[1:])
