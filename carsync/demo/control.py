"""The routes under /_sim, by which a test or a user changes and asks the simulated API.

GET  /_sim/log                      the arrivals since the last reset
GET  /_sim/truth?n=K&since=J        what a sync of snapshot K must find
GET  /_sim/cars?page=N&per_page=S   the records that the API lists now
POST /_sim/snapshot?n=K             list the cars of snapshot K from now on
POST /_sim/advance?hours=N          move the clock on, a snapshot an hour; `at_once=1`: all
                                    changes of an hour have one time
POST /_sim/clock?at=TIME            set the clock, in ISO 8601; ?by=MINUTES moves it, also back
POST /_sim/lie?name=L               lie in these ways (commas) from now on; none: be honest
POST /_sim/revoke                   no token that was given is valid any more
POST /_sim/reset                    forget arrivals, attempts and the rate limit's past
"""

from __future__ import annotations

from typing import Any, Protocol

from carsync.demo.asgi import SimulatedAnswer, as_json, error
from carsync.demo.asked import Listing
from carsync.demo.cars import moment, read_moment
from carsync.demo.changes.timeline import Timeline
from carsync.demo.door import Door
from carsync.demo.feed import FeedSnapshot

_NUMBERS = {"n": 0, "since": 0, "hours": 1, "page": 1, "per_page": 1}
"""Parameters that are whole numbers, with their lowest values."""


class Controlled(Protocol):
    """The simulator, as these routes see it."""

    door: Door
    timeline: Timeline
    log: list[tuple[float, str, int]]

    @property
    def snapshot(self) -> FeedSnapshot:
        """What is listed now."""
        ...

    def listing(self) -> Listing:
        """Return what is listed now, as records."""
        ...

    def truth(self, number: int | None, since: int | None) -> dict[str, Any]:
        """Return what a sync must find."""
        ...

    def lie(self, *names: str) -> None:
        """Lie in these ways; `KeyError` where there is no such lie."""
        ...

    def show(self, number: int) -> None:
        """List a snapshot."""
        ...

    def reset(self) -> None:
        """Forget what arrived."""
        ...


def answer_control(
    sim: Controlled, method: str, path: str, query: dict[str, str]
) -> SimulatedAnswer:
    """Answer a request for a route under /_sim."""
    try:
        numbers = {name: int(query[name]) for name in _NUMBERS if name in query}
    except ValueError:
        return error(422, f"{', '.join(_NUMBERS)} must be whole numbers")
    for name, number in numbers.items():
        if number < _NUMBERS[name]:
            return error(422, f"{name} starts at {_NUMBERS[name]}")
    match method, path:
        case "GET", "/_sim/log":
            return as_json([{"t": t, "path": path, "status": s} for t, path, s in sim.log])
        case "GET", "/_sim/truth":
            return as_json(sim.truth(numbers.get("n"), numbers.get("since")))
        case "GET", "/_sim/cars":
            stop = numbers.get("page", 1) * (size := numbers.get("per_page", 1000))
            return as_json({"data": sim.listing().records(stop - size, stop)})
        case "POST", "/_sim/snapshot" if "n" in numbers:
            sim.show(numbers["n"])
        case "POST", "/_sim/advance":
            sim.timeline.advance(numbers.get("hours", 1), at_once="at_once" in query)
        case "POST", "/_sim/clock":
            return _set_clock(sim.timeline, query)
        case "POST", "/_sim/lie":
            return _lie_by_name(sim, query.get("name", ""))
        case "POST", "/_sim/revoke":
            sim.door.revoke()
        case "POST", "/_sim/reset":
            sim.reset()
        case _:
            return error(404, "no such control route")
    return as_json({"snapshot": sim.snapshot.number, "clock": moment(sim.timeline.now_s)})


def _set_clock(timeline: Timeline, query: dict[str, str]) -> SimulatedAnswer:
    try:
        if "at" in query:
            timeline.set_clock(read_moment(query["at"]))
        timeline.set_clock(timeline.now_s + 60 * float(query.get("by", 0)))
    except ValueError:
        return error(422, "at must be a time in ISO 8601, by a number of minutes")
    return as_json({"clock": moment(timeline.now_s)})


def _lie_by_name(sim: Controlled, names: str) -> SimulatedAnswer:
    lies = names.split(",") if names else []
    try:
        sim.lie(*lies)
    except KeyError as exc:
        return error(422, f"no such lie: {exc.args[0]}")
    return as_json({"lies": lies})
