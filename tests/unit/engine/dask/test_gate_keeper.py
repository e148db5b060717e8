"""The scheduler's gates: one bucket per feed over all runs and workers; who left is forgotten."""

from __future__ import annotations

import asyncio
import pickle
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from carsync.engine.dask import gate_keeper
from carsync.engine.dask.gate_keeper import ASK_GATE, OVER, FitWorkers, GateKeeper, Job
from carsync.engine.dask.offers import EXTRA, Offer
from carsync.source.gate_settings import GateSettings
from carsync.source.rate_headers import ToldLimit
from carsync.source.rate_limit import Admission, Gate

OFFER = Offer("external", "public.cars", "f", "m")
SLOW = GateSettings(0.001, 3, 5, 60.0, 900.0, False)
"""Three requests at once, then none within a test."""


class Desk:
    """The keeper as a scheduler's handlers, asked as runs and workers ask."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.scheduler = cast(Any, SimpleNamespace(handlers={}, workers={}, stream_handlers={}))
        self.scheduler.stream_comms = dict.fromkeys(("w1", "w2", "w3"))
        self.scheduler.worker_send = lambda _, message: self.answers.append(message["answers"])
        self.keeper = GateKeeper()
        asyncio.run(self.keeper.start(self.scheduler))

    def call(self, name: str, **arguments: Any) -> Any:
        answer = self.scheduler.handlers[f"carsync_{name}"](**arguments)
        return pickle.loads(answer) if answer else None

    def open(self, session: str, settings: GateSettings = SLOW, **more: Any) -> Job:
        label = more.get("label")
        job = Job(session, 7, "token", (), {}, more.get("offer", OFFER), label)
        asked = (job, settings, more.get("idle_s", 1e9), more.get("silence_s", 0.0), None)
        self.call("open", client=f"client-{session}", asked=pickle.dumps(asked))
        return job

    def ask(self, session: str, call: str, *args: Any, worker: str = "w1", **more: Any) -> Any:
        """Ask as a worker does, on its stream."""
        calls = pickle.dumps([(call, args, more)])
        hear = self.scheduler.stream_handlers[ASK_GATE]
        hear(worker=worker, session=session, number=1, calls=calls)
        return pickle.loads(self.answers.pop())[0][0]

    def granted(self, session: str, times: int = 10) -> int:
        """Ask for admissions until one is not granted at once; return how many were."""
        found: list[Admission] = [self.ask(session, "admit") for _ in range(times)]
        return sum(each.granted and each.wait_s == 0 for each in found)


def test_all_workers_of_a_feed_share_one_bucket_over_all_runs() -> None:
    desk = Desk()
    desk.open("one")
    assert desk.ask("one", "admit", worker="w1").granted
    assert desk.granted("one") == 2
    desk.call("close", session="one")
    desk.open("two")
    assert desk.granted("two") == 0, "a new run has no second burst"
    other = replace(OFFER, source="east")
    desk.open("three", offer=other)
    assert desk.granted("three") == 3, "another feed has a gate of its own"
    desk.open("four", label="trial")
    assert desk.granted("four") == 3, "the same feed for another database, by other workers"
    assert desk.ask("two", "admit") != OVER


def test_limits_that_changed_give_no_second_burst_either() -> None:
    desk = Desk()
    desk.open("one")
    assert desk.granted("one") == 3
    desk.open("two", replace(SLOW, burst=4))
    assert desk.granted("two") == 0


def test_a_new_session_fences_the_old_one_and_silence_is_for_all() -> None:
    desk = Desk()
    desk.open("one")
    assert desk.call("job", session="one").session == "one"
    desk.open("two", silence_s=60.0)
    assert desk.ask("one", "admit") == OVER
    assert desk.call("job", session="one") is None
    assert desk.call("look", session="one") is None
    assert desk.granted("two") == 0, "Retry-After of an earlier engine holds"
    desk.call("close", session="one")
    assert desk.call("job", session="two").session == "two", "the old one ends nobody else's"


def test_a_run_that_stops_or_whose_parent_is_gone_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    desk.open("one")
    desk.call("stop", session="one")
    assert desk.ask("one", "admit") == OVER
    assert desk.ask("one", "report", True) is not OVER, "what is in hand is still told"
    desk.open("two")
    desk.keeper.remove_client(desk.scheduler, "client-two")
    assert desk.ask("two", "admit") == OVER
    desk.open("three")
    monkeypatch.setattr(gate_keeper, "DRIVER_SILENCE_S", -1.0)
    assert desk.ask("three", "admit") == OVER, "its parent has been silent for too long"


def test_a_worker_that_leaves_gives_its_tickets_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that the API tells is reckoned with the requests under way."""
    desk = Desk()
    desk.open("one", replace(SLOW, rate=100.0, burst=50))
    limit = ToldLimit("requests", 100_000.0, 60.0)
    desk.ask("one", "told", 0, (limit,), True)
    first, last, other = (desk.ask("one", "admit", worker=worker) for worker in ("w1", "w2", "w3"))
    desk.ask("one", "told", first.ticket, (), True)
    assert last.ticket
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(Gate, "told", lambda self, *args: told.append(args))
    desk.keeper.remove_worker(desk.scheduler, "w2")
    desk.keeper.remove_worker(desk.scheduler, "w1")
    assert told == [(last.ticket, (), False)], "w1 has told of its request, w3 is at work"
    desk.open("two", replace(SLOW, rate=100.0, burst=50))
    assert told[1:] == [(other.ticket, (), False)], "the next run owes nothing for the last one"


def test_a_budget_is_handed_out_anew_with_each_run() -> None:
    desk = Desk()
    desk.open("one", replace(SLOW, has_budget=True))
    assert not desk.ask("one", "admit").granted, "nothing is allotted yet"
    desk.ask("one", "allot", 2, 1e12, afresh=False)
    assert desk.ask("one", "admit").granted
    desk.open("two", replace(SLOW, has_budget=True))
    assert not desk.ask("two", "admit").granted, "what the old run was allotted is no more"


def test_the_workers_that_fit_are_counted_and_others_say_why_not() -> None:
    desk = Desk()
    offers: dict[str, Any] = {"a": [OFFER], "b": [replace(OFFER, mapping="x")], "c": []}
    offers["d"] = [{"what": "a later release tells"}]
    for name, held in offers.items():
        desk.scheduler.workers[name] = SimpleNamespace(
            extra={EXTRA: msgspec.to_builtins(held)},
            name=name,
            nthreads=4,
            metrics={"memory": 5},
        )
    desk.open("one")
    fit: FitWorkers = desk.call("look", session="one")
    assert (fit.threads, fit.memory) == (4, {"a": 5})
    assert fit.unfit.pop("d").startswith("it has carsync of an unknown version")
    assert fit.unfit == {"b": "its mapping or hash differs", "c": "it is no worker of carsync"}
    assert desk.keeper.is_busy((OFFER.place, None))
    desk.call("close", session="one")
    assert not desk.keeper.is_busy((OFFER.place, None))


def test_questions_of_one_message_are_answered_in_order_and_nothing_is_raised() -> None:
    desk = Desk()
    desk.open("one")
    hear = desk.scheduler.stream_handlers[ASK_GATE]
    calls = pickle.dumps([("admit", (), {}), ("report", (True,), {}), ("admit", (), {})])
    hear(worker="w1", session="one", number=1, calls=calls)
    answers, _ = pickle.loads(desk.answers.pop())
    assert [getattr(each, "granted", each) for each in answers] == [True, 0, True]
    hear(worker="given up", session="one", number=2, calls=calls)
    assert desk.answers == []
    hear(worker="w1", session="one", number=3, calls=b"no pickle")
    assert desk.answers == [b""], "a worker that gets nothing is told at once"
