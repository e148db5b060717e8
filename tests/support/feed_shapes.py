"""Feeds in the shapes of well-known servers, as functions: query → body, headers.

Each serves cars 1 to `total` in its maker's default page size. Recorded from the servers'
documentation and from answers of running ones.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from carsync.config.api_sections import Api
from carsync.errors import FailureKind, PageError
from carsync.mapping.fields import parse_path, walk
from carsync.source.pagination.base import load_paginator
from carsync.source.request import Answer
from tests.support.fake_api import Arrival, Reply, ScriptedApi

ORIGIN = "https://feed.test"
TOTAL = 430
Query = Mapping[str, str]
Served = tuple[Any, dict[str, str]]
Shape = Callable[[Query, int], Served]


def cars(start: int, stop: int, total: int) -> list[dict[str, Any]]:
    """Return the records from `start` on, before `stop`."""
    if start < 0:
        return []
    return [{"id": n + 1, "make": "Kia", "model": f"M{n % 7}"} for n in range(start, stop)][
        : max(0, total - start)
    ]


def link(query: Query, **changed: Any) -> str:
    """Return the address of the feed with some parameters changed."""
    sent = {**query, **{name: str(value) for name, value in changed.items()}}
    return f"{ORIGIN}/cars?{urlencode(sent)}"


def _page(
    query: Query, total: int, name: str, size: int, size_name: str, most: int
) -> tuple[int, int, int, list[dict[str, Any]]]:
    """Return the number of the page that is asked for, its size, the last page, its records."""
    page, size = int(query.get(name, 1)), min(most, int(query.get(size_name, size)))
    return page, size, -(-total // size), cars(size * page - size, size * page, total)


def drf_page(query: Query, total: int) -> Served:
    page = int(query.get("page", 1))
    last = max(1, -(-total // 20))
    if page > last:
        raise refusal(404, "Invalid page.")
    body = {
        "count": total,
        "next": link(query, page=page + 1) if page < last else None,
        "previous": link(query, page=page - 1) if page > 1 else None,
        "results": cars(20 * page - 20, 20 * page, total),
    }
    return body, {}


def drf_limit_offset(query: Query, total: int) -> Served:
    limit, offset = int(query.get("limit", 20)), int(query.get("offset", 0))
    more = offset + limit < total
    body = {
        "count": total,
        "next": link(query, limit=limit, offset=offset + limit) if more else None,
        "previous": None,
        "results": cars(offset, offset + limit, total),
    }
    return body, {}


def _cursor(start: int) -> str:
    return base64.b64encode(f"p={start}".encode()).decode()


def _start(cursor: str | None) -> int:
    return int(base64.b64decode(cursor).decode().removeprefix("p=")) if cursor else 0


def drf_cursor(query: Query, total: int) -> Served:
    start = _start(query.get("cursor"))
    more = start + 20 < total
    following = f"{ORIGIN}/cars?{urlencode({'cursor': _cursor(start + 20)})}" if more else None
    return {"next": following, "previous": None, "results": cars(start, start + 20, total)}, {}


def laravel(query: Query, total: int) -> Served:
    page, size, last, records = _page(query, total, "page", 15, "per_page", 100)
    body = {
        "current_page": page,
        "data": records,
        "first_page_url": f"{ORIGIN}/cars?page=1",
        "from": size * page - size + 1,
        "last_page": last,
        "last_page_url": f"{ORIGIN}/cars?page={last}",
        "links": [{"url": None, "label": str(n), "active": False} for n in range(20)],
        "next_page_url": f"{ORIGIN}/cars?page={page + 1}" if page < last else None,
        "path": f"{ORIGIN}/cars",
        "per_page": size,
        "prev_page_url": None,
        "to": size * page,
        "total": total,
    }
    return body, {}


def laravel_resource_simple(query: Query, total: int) -> Served:
    page, size, last, records = _page(query, total, "page", 15, "per_page", 50)
    body = {
        "data": records,
        "links": {
            "first": f"{ORIGIN}/cars?page=1",
            "last": None,
            "prev": None,
            "next": f"{ORIGIN}/cars?page={page + 1}" if page < last else None,
        },
        "meta": {"current_page": page, "from": 1, "path": f"{ORIGIN}/cars", "per_page": size},
    }
    return body, {}


def laravel_cursor(query: Query, total: int) -> Served:
    start, size = _start(query.get("cursor")), int(query.get("per_page", 15))
    cursor = _cursor(start + size) if start + size < total else None
    body = {
        "data": cars(start, start + size, total),
        "path": f"{ORIGIN}/cars",
        "per_page": size,
        "next_cursor": cursor,
        "next_page_url": f"{ORIGIN}/cars?cursor={cursor}" if cursor else None,
        "prev_cursor": None,
        "prev_page_url": None,
    }
    return body, {}


def fastapi_page(query: Query, total: int) -> Served:
    page, size, last, items = _page(query, total, "page", 50, "size", 100)
    if int(query.get("size", 1)) > 100:
        raise refusal(422, "Input should be less than or equal to 100")
    return {
        "items": items,
        "total": total,
        "page": page,
        "size": size,
        "pages": last,
    }, {}


def fastapi_limit_offset(query: Query, total: int) -> Served:
    limit, offset = int(query.get("limit", 50)), int(query.get("offset", 0))
    items = cars(offset, offset + limit, total)
    return {"items": items, "total": total, "limit": limit, "offset": offset}, {}


def fastapi_cursor(query: Query, total: int) -> Served:
    start, size = _start(query.get("cursor")), int(query.get("size", 50))
    body = {
        "items": cars(start, start + size, total),
        "total": None,
        "current_page": _cursor(start),
        "current_page_backwards": _cursor(start + size - 1),
        "previous_page": None,
        "next_page": _cursor(start + size) if start + size < total else None,
    }
    return body, {}


def json_server(query: Query, total: int) -> Served:
    if "_page" not in query:
        return cars(0, total, total), {}
    page, _, last, records = _page(query, total, "_page", 10, "_limit", 1000)
    links = [f'<{link(query, _page=1)}>; rel="first"', f'<{link(query, _page=last)}>; rel="last"']
    if page < last:
        links.append(f'<{link(query, _page=page + 1)}>; rel="next"')
    return records, {"Link": ", ".join(links), "X-Total-Count": str(total)}


def wordpress(query: Query, total: int) -> Served:
    page, _, last, records = _page(query, total, "page", 10, "per_page", 100)
    if page > max(1, last):
        raise refusal(400, "The page number requested is larger than the number of pages")
    headers = {"X-WP-Total": str(total), "X-WP-TotalPages": str(last)}
    if page < last:
        headers["Link"] = f'<{link(query, page=page + 1)}>; rel="next"'
    return records, headers


def github(query: Query, total: int) -> Served:
    page, _, last, records = _page(query, total, "page", 30, "per_page", 100)
    header = {"Link": f'<{link(query, page=page + 1)}>; rel="next"'} if page < last else {}
    return records, header


def shopify(query: Query, total: int) -> Served:
    start, limit = _start(query.get("page_info")), min(250, int(query.get("limit", 50)))
    header = {}
    if start + limit < total:
        following = f"{ORIGIN}/cars?limit={limit}&page_info={_cursor(start + limit)}"
        header = {"Link": f'<{following}>; rel="next"'}
    return {"products": cars(start, start + limit, total)}, header


def datasette(query: Query, total: int) -> Served:
    start, size = int(query.get("_next", 0)), int(query.get("_size", 100))
    more = start + size < total
    return {
        "ok": True,
        "next": str(start + size) if more else None,
        "next_url": link(query, _next=start + size) if more else None,
        "rows": cars(start, start + size, total),
        "truncated": False,
    }, {}


def json_api(query: Query, total: int) -> Served:
    page, _, last, listed = _page(query, total, "page[number]", 10, "page[size]", 100)
    records = [
        {
            "type": "Car",
            "id": str(each.pop("id")),
            "attributes": each,
            "links": {"self": f"{ORIGIN}/cars/7/"},
        }
        for each in listed
    ]
    links = {
        "first": link(query, **{"page[number]": 1}),
        "last": link(query, **{"page[number]": last}),
        "next": link(query, **{"page[number]": page + 1}) if page < last else None,
        "prev": None,
    }
    meta = {"pagination": {"page": page, "pages": last, "count": total}}
    included = [{"type": "Make", "id": str(n)} for n in range(40)]
    return {"links": links, "data": records, "meta": meta, "included": included}, {}


def odata_skiptoken(query: Query, total: int) -> Served:
    start = int(query.get("$skiptoken", 0))
    end = min(start + 40, int(query.get("$top", total)))
    body = {"@odata.context": f"{ORIGIN}/$metadata#Cars", "value": cars(start, end, total)}
    if end < total:
        body["@odata.nextLink"] = link(query, **{"$skiptoken": end})
    return body, {}


def odata_skip(query: Query, total: int) -> Served:
    skip, top = int(query.get("$skip", 0)), min(50, int(query.get("$top", 50)))
    body = {"@odata.context": "$metadata#Cars", "value": cars(skip, skip + top, total)}
    if skip + top < total:
        body["@odata.nextLink"] = link(query, **{"$skip": skip + top})
    return {**body, "@odata.count": total}, {}


def spring_page(query: Query, total: int) -> Served:
    page, size = int(query.get("page", 0)), int(query.get("size", 20))
    last = -(-total // size)
    records = cars(size * page, size * page + size, total)
    pageable = {"pageNumber": page, "pageSize": size, "offset": page * size, "paged": True}
    return {
        "content": records,
        "pageable": pageable,
        "totalPages": last,
        "totalElements": total,
        "last": page + 1 >= last,
        "size": size,
        "number": page,
        "sort": {"sorted": False},
        "numberOfElements": len(records),
        "first": page == 0,
        "empty": not records,
    }, {}


def spring_slice(query: Query, total: int) -> Served:
    body, _ = spring_page(query, total)
    return {n: v for n, v in body.items() if not n.startswith("total")}, {}


def spring_hal(query: Query, total: int) -> Served:
    page, size = int(query.get("page", 0)), int(query.get("size", 20))
    last = -(-total // size)
    records = cars(size * page, size * page + size, total)
    for record in records:
        record["_links"] = {"self": {"href": f"{ORIGIN}/cars/{record.pop('id')}"}}
    links = {"self": {"href": link(query)}}
    if page + 1 < last:
        links["next"] = {"href": link(query, page=page + 1, size=size)}
    return {
        "_embedded": {"cars": records},
        "_links": links,
        "page": {"size": size, "totalElements": total, "totalPages": last, "number": page},
    }, {}


def flask_smorest(query: Query, total: int) -> Served:
    page, _, last, records = _page(query, total, "page", 10, "page_size", 100)
    told = {"total": total, "total_pages": last, "first_page": 1, "last_page": last, "page": page}
    if page < last:
        told["next_page"] = page + 1
    return records, {"X-Pagination": json.dumps(told)}


def flask_restx(query: Query, total: int) -> Served:
    page, size, last, records = _page(query, total, "page", 10, "per_page", 1000)
    if size not in (10, 25, 50):
        raise refusal(400, "Invalid page size: must be 10, 25 or 50")
    return {
        "page": page,
        "pages": last,
        "per_page": size,
        "total": total,
        "items": records,
    }, {}


def elasticsearch(query: Query, total: int) -> Served:
    start, size = int(query.get("from", 0)), int(query.get("size", 10))
    hits = [{"_id": str(c["id"]), "_source": c} for c in cars(start, start + size, total)]
    found = {"total": {"value": total, "relation": "eq"}, "max_score": 1.0, "hits": hits}
    return {"took": 3, "timed_out": False, "hits": found}, {}


def market_check(query: Query, total: int) -> Served:
    start, rows = int(query.get("start", 0)), min(50, int(query.get("rows", 10)))
    return {"num_found": total, "listings": cars(start, start + rows, total)}, {}


def apibara(query: Query, total: int) -> Served:
    start = _start(query.get("cursor"))
    cursor = _cursor(start + 20) if start + 20 < total else None
    body = {"ok": True, "data": cars(start, start + 20, total), "meta": {"next_cursor": cursor}}
    return body, {"X-Per-Page-Limit": "20"}


def ebay(query: Query, total: int) -> Served:
    limit, offset = min(200, int(query.get("limit", 50))), int(query.get("offset", 0))
    body = {
        "href": link(query),
        "total": total,
        "limit": limit,
        "offset": offset,
        "itemSummaries": cars(offset, offset + limit, total),
    }
    if offset + limit < total:
        body["next"] = link(query, limit=limit, offset=offset + limit)
    return body, {}


def feathers(query: Query, total: int) -> Served:
    skip, limit = int(query.get("$skip", 0)), min(50, int(query.get("$limit", 25)))
    is_filtered = bool(query.keys() - {"$skip", "$limit"})
    data = [] if is_filtered else cars(skip, skip + limit, total)
    return {"total": total, "limit": limit, "skip": skip, "data": data}, {}


def finn(query: Query, total: int) -> Served:
    page, rows, last, docs = _page(query, total, "page", 50, "rows", 1000)
    paging = {"param": "page", "current": page, "last": last}
    found = {"result_size": {"match_count": total}, "paging": paging, "num_results": rows}
    return {"docs": docs, "filters": [{"name": "make"}] * 70, "metadata": found}, {}


def counted_from_zero(query: Query, total: int) -> Served:
    page, size = int(query.get("page", 0)), int(query.get("per_page", 10))
    return {"cars": cars(size * page, size * page + size, total)}, {}


def auction_live(query: Query, total: int) -> Served:
    """The preset's own API: no totals, unless `simple_paginate=0` asks for them."""
    page, size, last, served = _page(query, total, "page", 15, "per_page", 1000)
    records = [
        {"id": c["id"], "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}} for c in served
    ]
    links = {
        "first": link(query, page=1),
        "next": link(query, page=page + 1) if page < last else None,
    }
    meta = {"current_page": page, "per_page": size}
    if query.get("simple_paginate") == "0":
        meta |= {"last_page": last, "total": total}
    return {"data": records, "links": links, "meta": meta}, {}


def encar(query: Query, total: int) -> Served:
    offset, size = map(int, query.get("sr", "|ModifiedDate|0|20").split("|")[2:])
    records = [
        {"Id": str(c["id"]), "Manufacturer": "Kia"}
        for c in cars(offset, offset + min(50, size), total)
    ]
    return {"Count": total, "SearchResults": records}, {}


def wants_a_make(query: Query, total: int) -> Served:
    if "make" not in query:
        raise refusal(422, "make is obligatory")
    return fastapi_page(query, total)


def wants_a_page(query: Query, total: int) -> Served:
    if "page" not in query:
        raise refusal(422, "page: field required")
    return fastapi_page(query, total)


def capped(query: Query, total: int) -> Served:
    return {"items": cars(0, 20, total), "total": total}, {}


def nameless(query: Query, total: int) -> Served:
    body, _ = fastapi_page(query, total)
    body["items"] = [{"plate": f"P{c.pop('id')}", "make": "Kia"} for c in body["items"]]
    return body, {}


def everything(query: Query, total: int) -> Served:
    return cars(0, total, total), {}


def slack(query: Query, total: int) -> Served:
    start, limit = _start(query.get("cursor")), int(query.get("limit", 100))
    more = start + limit < total
    told = {"next_cursor": _cursor(start + limit) if more else ""}
    return {"ok": True, "cars": cars(start, start + limit, total), "response_metadata": told}, {}


def google(query: Query, total: int) -> Served:
    start, size = _start(query.get("pageToken")), int(query.get("pageSize", 25))
    body: dict[str, Any] = {"cars": cars(start, start + size, total)}
    if start + size < total:
        body["nextPageToken"] = _cursor(start + size)
    return body, {}


def refusal(status: int, words: str) -> PageError:
    """Return the error of an answer with this status, as the client raises it."""
    problem, detail = f"the API answered HTTP {status}", f'it says "{words}"'
    return PageError(FailureKind.CLIENT, problem, status=status, detail=detail)


class ShapedApi(ScriptedApi):
    """Serves a shape over HTTP at `path`; a car by its id at `record_path`, which holds `{id}`.

    `refuse` may answer a request before the shape does.
    """

    def __init__(self, shape: Shape, path: str = "/cars", record_path: str = "/cars/{id}") -> None:
        super().__init__()
        self.shape = shape
        self.total = TOTAL
        self.path = path
        self.record_path = record_path
        self.refuse: Callable[[Arrival], Reply | None] = lambda arrival: None

    def answer(self, arrival: Arrival) -> Reply:
        """Log the request and answer it."""
        self.arrivals.append(arrival)
        if (refused := self.refuse(arrival)) is not None:
            return refused
        if arrival.path != self.path:
            return self._tell(arrival.path)
        query = arrival.query
        if arrival.body:  # a search by POST; all that it holds stands at its top
            query = {name: str(value) for name, value in json.loads(arrival.body).items()}
        try:
            body, headers = self.shape(query, self.total)
        except PageError as exc:
            return Reply(exc.status or 500, {"message": exc.detail.removeprefix("it says ")})
        ours = f"{self.base_url}{self.path}"
        text = json.dumps(body).replace(f"{ORIGIN}/cars", ours).encode()
        return Reply(
            body=text, headers={n: v.replace(f"{ORIGIN}/cars", ours) for n, v in headers.items()}
        )

    def _tell(self, path: str) -> Reply:
        before, _, after = self.record_path.partition("{id}")
        number = path.removeprefix(before).removesuffix(after)
        if path == f"{before}{number}{after}" and number.isdecimal() and int(number) <= self.total:
            return Reply(body=cars(int(number) - 1, int(number), self.total)[0])
        return Reply(404, {"detail": "Not found."})


class ShapedFeed:
    """Asks a shape as the client asks an API; `asked` are the queries, in order."""

    def __init__(self, shape: Shape, total: int = TOTAL) -> None:
        self.shape = shape
        self.total = total
        self.asked: list[dict[str, str]] = []

    def first(self, **query: str) -> Answer:
        """Return the answer to the path alone."""
        return self._answer({**query})

    def ask(self, api: Api, page: int, token: str | None) -> Answer:
        """Return a page as a run would get it."""
        request = load_paginator(api).request(page, token)
        query = dict(parse_qsl(request.path.partition("?")[2], keep_blank_values=True))
        params = {**api.params, **request.params}
        query.update((name, str(value)) for name, value in params.items() if value is not None)
        return self._answer(query)

    def read_all(self, api: Api) -> Iterator[Any]:
        """Give the records of the whole feed, read as `api` says, by totals or to its end."""
        paginator, token = load_paginator(api), None
        page = paginator.first
        while True:
            answer = self.ask(api, page, token)
            found = json.loads(answer.body)
            values = [walk(found, parse_path(path)) for path in paginator.paths]
            info = paginator.read(values, answer.headers)
            records = walk(found, parse_path(api.pagination.records))
            yield from records
            pages, token = info.total_pages, info.next_token
            if pages is None and info.total_records is not None:
                pages = -(-info.total_records // api.pagination.page_size)
            page += 1
            if not paginator.parallel:
                if token is None:
                    return
            elif (
                info.has_more is False
                or not records
                or (pages is not None and page - paginator.first >= pages)
            ):
                return

    def _answer(self, query: dict[str, str]) -> Answer:
        self.asked.append(query)
        body, headers = self.shape(query, self.total)
        return Answer(json.dumps(body).encode(), 0, 0.0, 0.0, "", headers)
