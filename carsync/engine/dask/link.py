"""The connection of a run's parent to the scheduler: opened, asked, closed, in bounded time."""

from __future__ import annotations

import contextlib
import logging
import pickle
from typing import Any

from distributed import Client
from distributed.utils import sync

from carsync import timing
from carsync.config.sections import EngineRules
from carsync.engine.dask.gate_keeper import GateKeeper
from carsync.engine.dask.offers import other_versions, versions
from carsync.engine.dask.remote_gate import ANSWER_S
from carsync.engine.dask.security import reach_scheduler
from carsync.errors import ConfigError

for _library in ("distributed", "distributed.client", "tornado.application"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)  # the run says itself what is lost

_CLOSE_S = 5.0


class SchedulerLink:
    """Reaches the scheduler for the `session` of one engine."""

    def __init__(self, engine: EngineRules, session: str) -> None:
        self._engine = engine
        self._session = session
        self._client: Client | None = None

    @property
    def is_open(self) -> bool:
        """Whether the link was opened, and not closed since."""
        return self._client is not None

    @property
    def client(self) -> Client:
        """The library's connection; raises `ConnectionError` where there is none."""
        if self._client is None:
            raise ConnectionError("the engine is not at work")
        return self._client

    def open(self) -> None:
        """Reach the scheduler and let it keep gates.

        Raises `ConfigError` where it is of another version, and of all kinds what the library does.
        """
        within_s = timing.current().worker_boot_s / 3
        self._client = reach_scheduler(self._engine, within_s, "carsync")
        words = "it has no carsync"
        with contextlib.suppress(ModuleNotFoundError):
            self._sync(self._client.register_plugin, GateKeeper())
            words = other_versions(versions(), self.ask("carsync_versions"))
        if words:
            raise ConfigError(
                f"the scheduler at {self._engine.scheduler} cannot serve this run: {words}",
                hint="install the same versions everywhere, then start the scheduler again",
            )

    def ask(self, call: str, /, **arguments: Any) -> Any:
        """Call a handler of the scheduler; raise `OSError` where it does not answer."""
        scheduler = self.client.scheduler

        async def ask() -> Any:
            return await getattr(scheduler, call)(**arguments)

        return self._sync(ask)

    def ask_of_session(self, call: str, /, **arguments: Any) -> Any:
        """Do as `ask`, for the session."""
        return self.ask(call, session=self._session, **arguments)

    def ask_gate(self, call: str, *args: Any, **kwargs: Any) -> tuple[Any, float]:
        """Call a method of the session's gate; return its answer, and the scheduler's clock."""
        calls = pickle.dumps([(call, args, kwargs)])
        answers, theirs_s = pickle.loads(
            self.ask_of_session("carsync_gate", worker="", calls=calls)
        )
        return answers[0], theirs_s

    def close(self, *, is_lost: bool) -> None:
        """Tell the scheduler the session's end, where it `is_lost` not, and let go of it."""
        if self._client is None:
            return
        with contextlib.suppress(OSError, RuntimeError):
            if not is_lost:
                self.ask_of_session("carsync_close")
        client, self._client = self._client, None
        with contextlib.suppress(Exception):  # of all kinds where the scheduler is lost just now
            client.close(timeout=_CLOSE_S)
        client.status = "closed"  # else one that could not be tries for 40 s more when it is freed

    def _sync(self, function: Any, *args: Any) -> Any:
        loop = self.client.loop
        assert loop is not None
        try:
            return sync(loop, function, *args, callback_timeout=ANSWER_S)
        except (OSError, ModuleNotFoundError):
            raise
        except Exception as exc:  # of tornado, where a stream breaks in the middle of a handshake
            raise ConnectionError(f"{type(exc).__name__}: {exc}") from exc
