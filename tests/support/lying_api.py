"""The simulator, which lies: what it answers passes through the test's hands first."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

from carsync.demo.asgi import Message, Receive, Send, SimulatedAnswer
from tests.support.site import Api

Lie = Callable[[Any, SimulatedAnswer], SimulatedAnswer]


class LyingApi(Api):
    """An API whose answers `page_lie(page, answer)` and `car_lie(id, answer)` change.

    By-id requests are answered after `car_delay_s` seconds.
    """

    page_lie: Lie | None = None
    car_lie: Lie | None = None
    car_delay_s = 0.0

    def be_honest(self) -> None:
        """Lie no more."""
        self.page_lie = self.car_lie = None
        self.car_delay_s = 0.0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as the simulator does, single cars in their time."""
        if "/cars/" in scope["path"]:
            await asyncio.sleep(self.car_delay_s)
        await super().__call__(scope, receive, send)

    def _answer_page(self, query: dict[str, str]) -> SimulatedAnswer:
        answer = super()._answer_page(query)
        return answer if self.page_lie is None else self.page_lie(int(query["page"]), answer)

    def _answer_car(self, text: str) -> SimulatedAnswer:
        answer = super()._answer_car(text)
        return answer if self.car_lie is None else self.car_lie(text, answer)


def body_of(answer: SimulatedAnswer) -> Any:
    """Return the decoded body of an answer."""
    return json.loads(gzip.decompress(answer.body) if answer.gzipped else answer.body)


def answer_with(body: Any) -> SimulatedAnswer:
    """Return an answer 200 with this body: bytes as they are, anything else as JSON."""
    return SimulatedAnswer(200, body if isinstance(body, bytes) else json.dumps(body).encode())
