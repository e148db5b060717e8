"""Stand-ins of search servers that take what the makers' documents say, and nothing else.

Each keeps the documents of its index `cars`, by id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.support.fake_api import Arrival, Reply, ScriptedApi

Document = dict[str, Any]


class RefusedError(Exception):
    """A request that the real server would not take."""


def _need(is_so: bool, what: str) -> None:
    if not is_so:
        raise RefusedError(what)


def _ndjson(body: str) -> list[Any]:
    _need(body.endswith("\n"), "each line, the last one too, ends with a newline")
    return [json.loads(line) for line in body.removesuffix("\n").split("\n")]


class Elasticsearch:
    """`_bulk`: a line for the action, and for `index` one for the document."""

    key_line = "Authorization: ApiKey SECRET"

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}

    def answer(self, method: str, path: str, kind: str, query: Document, body: str) -> Any:
        """Do what the lines say, in order."""
        _need((method, path) == ("POST", "/cars/_bulk"), "there is no such path")
        _need(kind == "application/x-ndjson", "newline-delimited JSON is called so")
        lines = iter(_ndjson(body))
        for line in lines:
            ((action, place),) = line.items()
            _need(set(place) == {"_id"} and isinstance(place["_id"], str), "an _id is a text")
            if action == "index":
                self.documents[place["_id"]] = next(lines)
            else:
                _need(action == "delete", "index and delete are known here")
                self.documents.pop(place["_id"], None)
        return {"took": 1, "errors": False, "items": []}


class Meilisearch:
    """Documents come as newline-delimited JSON, ids to delete as an array."""

    key_line = "Authorization: Bearer SECRET"

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}

    def answer(self, method: str, path: str, kind: str, query: Document, body: str) -> Any:
        """Add or replace documents, or delete them."""
        if (method, path) == ("POST", "/indexes/cars/documents"):
            _need(kind == "application/x-ndjson", "newline-delimited JSON is called so")
            _need(query == {"primaryKey": "id"}, "id and external_id could both be the key")
            for document in _ndjson(body):
                _need(re.fullmatch(r"[\w-]{1,511}", document["id"], re.ASCII) is not None, "id")
                self.documents[document["id"]] = document
        else:
            wanted = ("POST", "/indexes/cars/documents/delete-batch")
            _need((method, path) == wanted, "there is no such path")
            _need(kind == "application/json", "an array is JSON")
            for key in json.loads(body):
                self.documents.pop(key, None)
        return {"taskUid": 1, "status": "enqueued"}


class Typesense:
    """Documents come as lines of JSON; what to delete is named by a filter."""

    key_line = "X-TYPESENSE-API-KEY: SECRET"

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}

    def answer(self, method: str, path: str, kind: str, query: Document, body: str) -> Any:
        """Import documents, or delete those of a filter."""
        if (method, path) == ("POST", "/collections/cars/documents/import"):
            _need(query == {"action": "upsert"}, "the default is create")
            for document in _ndjson(body):
                _need(isinstance(document["id"], str), "an id is a text")
                _need(None not in document.values(), "a field of a schema is not null")
                self.documents[document["id"]] = document
            return {"success": True}
        _need((method, path) == ("DELETE", "/collections/cars/documents"), "there is no such path")
        found = re.fullmatch(r"id: \[([\w-]+(?:, [\w-]+)*)\]", query["filter_by"])
        _need(found is not None and len(query["filter_by"]) < 2000, "filter_by")
        keys = found[1].split(", ") if found else []
        gone = [self.documents.pop(key, None) for key in keys]
        return {"num_deleted": sum(document is not None for document in gone)}


SearchServer = Elasticsearch | Meilisearch | Typesense


class Serving(ScriptedApi):
    """Serves a stand-in on 127.0.0.1; `refused` holds what it did not take."""

    def __init__(self, server: SearchServer) -> None:
        super().__init__()
        self._stand_in = server
        self.refused: list[str] = []

    def answer(self, arrival: Arrival) -> Reply:
        """Let the stand-in answer, or refuse."""
        kind = arrival.headers.get("content-type", "")
        answer: Callable[..., Any] = self._stand_in.answer
        name, _, value = self._stand_in.key_line.partition(": ")
        try:
            _need(arrival.headers.get(name.lower()) == value, "the key is missing")
            text = arrival.body.decode()
            return Reply(body=answer(arrival.method, arrival.path, kind, arrival.query, text))
        except (RefusedError, ValueError, LookupError, StopIteration) as exc:
            self.refused.append(f"{arrival.method} {arrival.path}: {exc!r}")
            return Reply(400, {"error": str(exc)})
