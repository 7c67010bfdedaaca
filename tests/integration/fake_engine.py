"""An upstream that the test drives: it answers what routers ask of an engine, and each POST as it was told to."""

import http.server
import json
import queue
import socket
import ssl
import threading
from collections.abc import Callable

Handler = http.server.BaseHTTPRequestHandler
Behaviour = Callable[["FakeRequest"], None]


def _read_body(handler: Handler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    pieces = []
    while size := int(handler.rfile.readline(), 16):
        pieces.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(pieces)


class FakeRequest:
    """One POST that arrived, and the means to answer it step by step."""

    def __init__(self, handler: Handler):
        self._handler = handler
        self.path = handler.path
        self.headers = dict(handler.headers.items())
        self.raw_body = _read_body(handler)
        self.body = json.loads(self.raw_body)

    def answer(self, status: int, body: dict, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.head(status, {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})})
        self.raw(data)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def raw(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def start_stream(self) -> None:
        self.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})

    def event(self, data: str) -> None:
        self.chunk(f"data: {data}\n\n".encode())

    def chunk(self, data: bytes) -> None:
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def token(self, text: str) -> None:
        self.event(json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}))

    def end_stream(self) -> None:
        self.event("[DONE]")
        self.raw(b"0\r\n\r\n")

    def cut(self) -> None:
        self._handler.close_connection = True
        self._handler.connection.shutdown(socket.SHUT_RDWR)

    def wait_for_close(self, deadline_s: float = 10.0) -> bool:
        """Whether the other side closes the connection before the deadline."""
        self._handler.connection.settimeout(deadline_s)
        try:
            return self._handler.connection.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


def whole_answer(text: str = "hello") -> Behaviour:
    def behave(request: FakeRequest) -> None:
        usage = {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 2},
        }
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        request.answer(200, {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})

    return behave


def streamed_answer(*texts: str) -> Behaviour:
    def behave(request: FakeRequest) -> None:
        request.start_stream()
        for text in texts:
            request.token(text)
        request.end_stream()

    return behave


class FakeEngine:
    """Listens on a port of its own. `waiting` is what its metrics say, so that a test decides who is chosen first.
    `pages` are shown instead of its own, None: 404."""

    def __init__(self, model: str = "m", waiting: int = 0, adapters: tuple[str, ...] = (), kv_usage: float = 0,
                 running_adapters: tuple[str, ...] = (), pages: dict[str, str | None] | None = None,
                 tls: ssl.SSLContext | None = None):
        self.model = model
        self.models = [model, *adapters]
        self.waiting = waiting
        self.kv_usage = kv_usage
        self.running_adapters = running_adapters
        self.pages = pages or {}
        self.ready = True
        self.requests: list[FakeRequest] = []
        self.behaviours: queue.Queue[Behaviour] = queue.Queue()
        engine = self

        class EngineHandler(Handler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                engine._get(self)

            def do_POST(self) -> None:
                request = FakeRequest(self)
                engine.requests.append(request)
                try:
                    behaviour = engine.behaviours.get_nowait()
                except queue.Empty:
                    behaviour = streamed_answer("hello") if request.body.get("stream") else whole_answer()
                try:
                    behaviour(request)
                except ConnectionError:
                    self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), EngineHandler)
        if tls is not None:
            # The handshake is of the thread that serves the connection, so that a client which refuses holds up nobody.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def then(self, behaviour: Behaviour) -> "FakeEngine":
        self.behaviours.put(behaviour)
        return self

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _get(self, handler: Handler) -> None:
        pages = {
            "/health": (200 if self.ready else 503, "{}"),
            "/v1/models": (
                200,
                json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}),
            ),
            "/metrics": (
                200,
                f'vllm:num_requests_waiting{{model_name="m"}} {self.waiting}\n'
                'vllm:num_requests_running{model_name="m"} 0\n'
                f'vllm:kv_cache_usage_perc{{model_name="m"}} {self.kv_usage}\n'
                f'vllm:lora_requests_info{{max_lora="4",running_lora_adapters="{",".join(self.running_adapters)}",'
                'waiting_lora_adapters=""} 1\n',
            ),
        }
        pages |= {path: (404, "{}") if text is None else (200, text) for path, text in self.pages.items()}
        status, text = pages.get(handler.path, (404, "{}"))
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text.encode())
