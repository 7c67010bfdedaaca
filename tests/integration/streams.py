"""Clients that stream in threads of their own, and how each of them ended."""

import json
import re
import threading
import time
from dataclasses import dataclass, field

import httpx


@dataclass
class Stream:
    """One request. `ended_at` is set when the client has its answer, an error, or a connection that broke."""

    url: str
    body: dict
    request_id: str = ""
    status: int | None = None
    events: list[str] = field(default_factory=list)
    text: str = ""
    broke: str = ""
    ended_at: float | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        headers = {"x-request-id": self.request_id} if self.request_id else {}
        try:
            with httpx.stream(
                "POST", f"{self.url}/v1/completions", json=self.body, timeout=120, headers=headers
            ) as answer:
                self.status = answer.status_code
                for line in answer.iter_lines():
                    self.text += line
                    if line.startswith("data: "):
                        self.events.append(line.removeprefix("data: "))
        except httpx.TransportError as error:
            self.broke = type(error).__name__
        self.ended_at = time.monotonic()

    def join(self, deadline_s: float) -> "Stream":
        self._thread.join(deadline_s)
        assert self.ended_at is not None, f"the request did not end within {deadline_s} s: {self.events[-1:]}"
        return self

    @property
    def done(self) -> bool:
        return self.events[-1:] == ["[DONE]"]

    @property
    def error_code(self) -> str | None:
        """Of the last event of a stream, or of a whole answer."""
        for text in (self.events[-1] if self.events else "", self.text):
            if re.match(r'\{"error"', text):
                return json.loads(text)["error"]["code"]
        return None


def start_streams(url: str, count: int, body: dict) -> list[Stream]:
    """As many streams, each with a token on it already."""
    streams = [Stream(url, {**body, "stream": True}) for _ in range(count)]
    end = time.monotonic() + 30
    while time.monotonic() < end and not all(len(stream.events) >= 2 for stream in streams):
        time.sleep(0.01)
    states = [(stream.status, len(stream.events), stream.broke) for stream in streams]
    assert all(len(stream.events) >= 2 for stream in streams), states
    return streams
