"""`llmd sidecar` between servers for prefill, encode and decode that write down what they get: every connector, byte by
byte, and what can go wrong on the way. docs/sidecar.md says which case of llm-d's own tests each one is."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from fake_engine import FakeEngine, FakeRequest, streamed_answer, whole_answer
from waiting import wait_for

CHAT = "/v1/chat/completions"
PARAMS = '{"do_remote_prefill":true, "remote_block_ids":[[1,2]],"remote_engine_id":"e","remote_port":5600}'
BODY = '{"model":"m", "seed":9007199254740993,"messages":[{"role":"user","content":"hi"}],"max_tokens":50}'
ASKED = (
    '{"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,"remote_block_ids":null,'
    '"remote_host":null,"remote_port":null}'
)
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def port_of(engine: FakeEngine) -> int:
    return int(engine.url.rpartition(":")[2])


def host_port(engine: FakeEngine) -> str:
    return engine.url.removeprefix("http://")


def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def raw_answer(text: str, status: int = 200, content_type: str = "application/json") -> Callable[[FakeRequest], None]:
    def behave(request: FakeRequest) -> None:
        data = text.encode()
        request.head(status, {"Content-Type": content_type, "Content-Length": str(len(data))})
        request.raw(data)

    return behave


def prefilled(cached: int | None = None) -> Callable[[FakeRequest], None]:
    details = "null" if cached is None else f'{{"cached_tokens":{cached}}}'
    return raw_answer(
        f'{{"id":"p","choices":[],"kv_transfer_params":{PARAMS},'
        f'"usage":{{"prompt_tokens":3,"prompt_tokens_details":{details}}}}}'
    )


class Sidecar:
    def __init__(self, start, decoder_port: int, *arguments: str, env: dict[str, str] | None = None):
        self.process = start(
            "sidecar", "--port", "0", "--bind-address", "127.0.0.1", "--secure-proxy=false", "--loops", "1",
            "--model-server-port", str(decoder_port), *arguments, env=env,
        )  # fmt: skip
        self.url = self.process.base_url()

    def post(self, body: str = BODY, path: str = CHAT, **headers: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(self.url + path, content=body, headers=names, timeout=20)


@pytest.fixture
def sidecar(start):
    def make(decoder: FakeEngine | int, *arguments: str, env: dict[str, str] | None = None) -> Sidecar:
        port = decoder if isinstance(decoder, int) else port_of(decoder)
        return Sidecar(start, port, *arguments, env=env)

    return make


def split(front: Sidecar, prefiller: FakeEngine, body: str = BODY, **headers: str) -> httpx.Response:
    return front.post(body, x_prefiller_host_port=host_port(prefiller), **headers)


def raw_of(engine: FakeEngine, index: int = 0) -> str:
    return engine.requests[index].raw_body.decode()


def header_of(request: FakeRequest, name: str) -> list[str]:
    return [value for key, value in request.headers.items() if key.lower() == name]


# --- nixlv2 ---


def test_nixl_changes_of_each_leg_only_what_it_must(engines, sidecar):
    prefiller, decoder = engines(), engines()
    prefiller.then(prefilled())
    answer = split(sidecar(decoder), prefiller, x_request_id="r1", authorization="Bearer k")
    assert answer.status_code == 200
    assert raw_of(prefiller) == (
        '{"model":"m", "seed":9007199254740993,"messages":[{"role":"user","content":"hi"}],"max_tokens":1,'
        f'"kv_transfer_params":{ASKED},"stream":false,"max_completion_tokens":1,"min_tokens":1}}'
    )
    assert raw_of(decoder) == (
        '{"model":"m", "seed":9007199254740993,"messages":[{"role":"user","content":"hi"}],"max_tokens":50,'
        f'"kv_transfer_params":{PARAMS}}}'
    )
    for leg in (prefiller.requests[0], decoder.requests[0]):
        assert leg.path == CHAT
        assert header_of(leg, "x-request-id") == ["r1"]
        assert header_of(leg, "authorization") == ["Bearer k"]
        assert header_of(leg, "x-prefiller-host-port") == []
        assert header_of(leg, "x-forwarded-for") == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("path", "body", "capped", "restored"),
    [
        (
            "/v1/responses",
            '{"input":"x","max_output_tokens":9,"stream":true,"stream_options":{"include_usage":true}}',
            {"max_output_tokens": 1, "stream": False},
            {"max_output_tokens": 9, "stream": True, "stream_options": {"include_usage": True}},
        ),
        (
            "/inference/v1/generate",
            '{"token_ids":[1],"sampling_params":{"max_tokens":9,"top_k":1}}',
            {"sampling_params": {"max_tokens": 1, "top_k": 1, "min_tokens": 1}, "stream": False},
            {"sampling_params": {"max_tokens": 9, "top_k": 1}},
        ),
        ("/v1/completions", '{"prompt":"x"}', {"max_tokens": 1, "max_completion_tokens": 1, "min_tokens": 1}, {}),
        ("/v1/messages", '{"messages":[],"max_tokens":5}', {"max_tokens": 1, "stream": False}, {"max_tokens": 5}),
    ],
)
def test_nixl_names_the_length_as_the_api_does(engines, sidecar, path, body, capped, restored):
    prefiller, decoder = engines(), engines()
    prefiller.then(prefilled())
    front = sidecar(decoder)
    assert front.post(body, path, x_prefiller_host_port=host_port(prefiller)).status_code == 200
    first, second = prefiller.requests[0], decoder.requests[0]
    assert first.path == second.path == path
    assert capped.items() <= first.body.items()
    assert "stream_options" not in first.body
    transfer = second.body.pop("kv_transfer_params")
    assert transfer == json.loads(PARAMS)
    assert second.body == json.loads(body) | restored


@pytest.mark.parametrize(("cached", "shown"), [(7, 7), (None, 0)])
def test_nixl_counts_cached_tokens_as_the_prefill_side_did(engines, sidecar, cached, shown):
    prefiller, decoder = engines(), engines()
    front = sidecar(decoder)
    prefiller.then(prefilled(cached))
    decoder.then(raw_answer('{"big":9007199254740993, "usage":{"prompt_tokens":3,"prompt_tokens_details":null}}'))
    assert split(front, prefiller).text == (
        '{"big":9007199254740993, "usage":{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":%d}}}' % shown
    )

    def stream(request: FakeRequest) -> None:
        request.start_stream()
        request.chunk(b'data: {"choices":[{"delta":{"content":"\\"usage\\""}}]}\n\ndata: {"choices":[],"us')
        request.chunk(b'age":{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":1,"x":2}}}\n\n: note\n\n')
        request.end_stream()

    prefiller.then(prefilled(cached))
    decoder.then(stream)
    answer = split(front, prefiller, BODY[:-1] + ',"stream":true}')
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text == (
        'data: {"choices":[{"delta":{"content":"\\"usage\\""}}]}\n\ndata: {"choices":[],"usage":{"prompt_tokens":3,'
        '"prompt_tokens_details":{"cached_tokens":%d,"x":2}}}\n\n: note\n\ndata: [DONE]\n\n' % shown
    )


def test_an_answer_too_long_to_hold_passes_as_it_comes(engines, sidecar):
    prefiller, decoder = engines(), engines()
    prefiller.then(prefilled(7))
    said = json.dumps({"text": "x" * 5_000_000, "usage": {"prompt_tokens": 1}})
    decoder.then(raw_answer(said))
    assert split(sidecar(decoder), prefiller).text == said


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_prefill_leg_is_repeated_as_often_as_allowed(engines, sidecar, status):
    prefiller, decoder = engines(), engines()
    prefiller.then(raw_answer("{}", status)).then(raw_answer("{}", status)).then(prefilled())
    front = sidecar(decoder, "--prefill-max-retries", "2", "--prefill-retry-backoff", "10ms")
    assert split(front, prefiller).status_code == 200
    assert len(prefiller.requests) == 3
    assert decoder.requests[0].body["kv_transfer_params"] == json.loads(PARAMS)


@pytest.mark.parametrize("status", [500, 503, 404, 429])
def test_the_engine_here_computes_the_prompt_when_prefill_fails(engines, sidecar, status):
    prefiller, decoder = engines(), engines()
    prefiller.then(raw_answer("{}", status))
    front = sidecar(decoder)
    assert split(front, prefiller).status_code == 200
    assert len(prefiller.requests) == 1
    assert raw_of(decoder) == BODY
    front.process.wait_for_log(f"could not prefill: it answered {status}")


def test_a_prefill_side_that_is_not_there_or_talks_nonsense_costs_only_the_prompt(engines, sidecar):
    prefiller, decoder = engines(), engines()
    front = sidecar(decoder)
    gone = front.post(x_prefiller_host_port=f"127.0.0.1:{unused_port()}")
    assert gone.status_code == 200
    for nonsense in ("no JSON", "[]", '{"kv_transfer_params":7}'):
        prefiller.then(raw_answer(nonsense))
        assert split(front, prefiller).status_code == 200
    assert front.post(x_prefiller_host_port="unix:/etc/passwd").status_code == 200
    assert [request.raw_body.decode() for request in decoder.requests] == [BODY] * 5


def test_a_request_that_is_wrong_is_answered_by_the_prefill_side(engines, sidecar):
    prefiller, decoder = engines(), engines()
    front = sidecar(decoder)
    wrong = '{"error":{"message":"messages: too long","type":"BadRequestError","param":"messages","code":400}}'
    prefiller.then(raw_answer(wrong, 400))
    answer = split(front, prefiller)
    assert (answer.status_code, answer.text) == (400, wrong)
    assert decoder.requests == []
    prefiller.then(raw_answer('{"error":{"message":"no","param":"min_tokens"}}', 400))
    assert split(front, prefiller).status_code == 200


def test_a_slow_prefill_side_is_left_at_its_deadline(engines, sidecar):
    prefiller, decoder = engines(), engines()
    closed = threading.Event()
    prefiller.then(lambda request: closed.set() if request.wait_for_close() else None)
    assert split(sidecar(decoder, "--prefill-timeout", "300ms"), prefiller).status_code == 200
    assert closed.wait(5)
    assert raw_of(decoder) == BODY


def test_an_answer_without_params_makes_them_null(engines, sidecar):
    prefiller, decoder = engines(), engines()
    prefiller.then(raw_answer('{"choices":[]}'))
    assert split(sidecar(decoder), prefiller).status_code == 200
    assert decoder.requests[0].body["kv_transfer_params"] is None


@pytest.mark.parametrize("body", ["", "{", "[1]", '"x"'])
def test_what_is_no_object_is_refused(engines, sidecar, body):
    answer = sidecar(engines()).post(body, x_prefiller_host_port="127.0.0.1:1")
    assert answer.status_code == 400
    assert answer.json()["type"] == "BadRequestError"
    assert answer.json().keys() == {"object", "message", "type", "param", "code"}


def test_the_first_of_several_prefill_sides_is_asked_or_any(engines, sidecar):
    first, second, decoder = engines(), engines(), engines()
    both = f"{host_port(first)}, http://{host_port(second)}"
    front = sidecar(decoder)
    for _ in range(5):
        first.then(prefilled())
        assert front.post(x_prefiller_host_port=both).status_code == 200
    assert (len(first.requests), len(second.requests)) == (5, 0)
    sampling = sidecar(decoder, env={"ENABLE_PREFILLER_SAMPLING": "true"})
    for _ in range(20):
        assert sampling.post(x_prefiller_host_port=both).status_code == 200
    assert second.requests and len(first.requests) > 5


# --- the legs at once ---


def test_sglang_legs_meet_in_a_room(engines, sidecar):
    prefiller, decoder = engines(), engines()
    front = sidecar(decoder, "--kv-connector", "sglang", env={"SGLANG_BOOTSTRAP_PORT": "9001"})
    body = BODY[:-1] + ',"stream":true}'
    assert "hello" in split(front, prefiller, body).text
    wait_for(lambda: len(prefiller.requests) == 1, "the prefill leg")
    assert raw_of(prefiller) == raw_of(decoder)
    found = re.fullmatch(
        r'\{"model":"m",.*,"max_tokens":50,"stream":true,"bootstrap_host":"127.0.0.1","bootstrap_port":9001,'
        r'"bootstrap_room":(\d+)\}',
        raw_of(decoder),
    )
    assert found, raw_of(decoder)
    assert 0 < int(found[1]) < 2**53


def test_sglang_needs_no_more_than_the_status_of_prefill(engines, sidecar):
    prefiller, decoder = engines(), engines()
    prefiller.then(raw_answer('{"x":"' + "y" * (5 << 20) + '"}'))
    front = sidecar(decoder, "--kv-connector", "sglang")
    decoder.then(lambda request: (time.sleep(0.5), raw_answer('{"late":1}')(request)))
    answer = split(front, prefiller)
    assert (answer.status_code, answer.text) == (200, '{"late":1}')


def test_sglang_tells_the_client_when_prefill_fails(engines, sidecar):
    prefiller, decoder = engines(), engines()
    closed = threading.Event()
    decoder.then(lambda request: closed.set() if request.wait_for_close() else None)
    prefiller.then(raw_answer('{"error":"no room"}', 500))
    answer = split(sidecar(decoder, "--kv-connector", "sglang"), prefiller)
    assert (answer.status_code, answer.text) == (500, '{"error":"no room"}')
    assert closed.wait(5), "the decode leg waited in vain"


class Bootstrap:
    """Mooncake's bootstrap server."""

    def __init__(self, engines, said: str | None):
        self.engine = engines(pages={"/query": said})
        self.port = port_of(self.engine)


def test_mooncake_legs_meet_by_a_transfer_id(engines, sidecar):
    prefiller, decoder = engines(), engines()
    bootstrap = Bootstrap(engines, '{"3":{"engine_id":"eng-3","x":1}}')
    front = sidecar(decoder, "--kv-connector", "mooncake", "--mooncake-bootstrap-port", str(bootstrap.port))
    assert split(front, prefiller).status_code == 200
    wait_for(lambda: len(prefiller.requests) == 1, "the prefill leg")
    first, second = prefiller.requests[0], decoder.requests[0]
    transfer = first.body["kv_transfer_params"].pop("transfer_id")
    assert re.fullmatch(f"xfer-{UUID}", transfer)
    assert first.body["kv_transfer_params"] == {"do_remote_prefill": False, "do_remote_decode": True}
    assert header_of(first, "x-data-parallel-rank") == ["3"]
    assert (first.body["max_tokens"], first.body["stream"]) == (1, False)
    assert "max_completion_tokens" not in first.body
    assert second.body["kv_transfer_params"] == {
        "do_remote_prefill": True,
        "do_remote_decode": False,
        "transfer_id": transfer,
        "remote_bootstrap_addr": f"http://127.0.0.1:{bootstrap.port}",
        "remote_engine_id": "eng-3",
    }
    assert second.body["max_tokens"] == 50
    # A leg that fails makes it ask again: the pod may have another engine now.
    prefiller.then(raw_answer("{}", 500))
    decoder.then(lambda request: request.wait_for_close() and None)
    bootstrap.engine.pages["/query"] = '{"0":{"engine_id":"eng-0"}}'
    assert split(front, prefiller).status_code == 200
    assert raw_of(decoder, 2) == BODY, "the engine here computes the prompt"
    assert split(front, prefiller).status_code == 200
    assert decoder.requests[3].body["kv_transfer_params"]["remote_engine_id"] == "eng-0"


@pytest.mark.parametrize("said", [None, "", "{}", '{"0":{}}', "[1]", '{"0":{"engine_id":7}}'])
def test_mooncake_without_an_engine_computes_here(engines, sidecar, said):
    prefiller, decoder = engines(), engines()
    bootstrap = Bootstrap(engines, said)
    front = sidecar(decoder, "--kv-connector", "mooncake", env={"MOONCAKE_BOOTSTRAP_PORT": str(bootstrap.port)})
    assert split(front, prefiller).status_code == 200
    assert (raw_of(decoder), prefiller.requests) == (BODY, [])


def test_offloading_legs_share_a_request_id(engines, sidecar):
    prefiller, decoder = engines(), engines()
    front = sidecar(decoder, "--kv-connector", "offloading", "--p2p-connector-port", "7000")
    answer = split(front, prefiller, x_kv_cache_source_host_port="127.0.0.1:9")
    assert answer.status_code == 200
    wait_for(lambda: len(prefiller.requests) == 1, "the prefill leg")
    first, second = prefiller.requests[0].body, decoder.requests[0].body
    shared = first["kv_transfer_params"]["remote_decoder"]["kv_request_id"]
    source = first["kv_transfer_params"]["remote_kv_source"]
    assert re.fullmatch(UUID, shared) and source.pop("kv_request_id") != shared
    assert source == {"remote_host": "127.0.0.1", "remote_port": 7000}
    assert second["kv_transfer_params"] == {
        "remote_prefiller": {"kv_request_id": shared, "remote_host": "127.0.0.1", "remote_port": 7000}
    }
    assert (first["max_tokens"], second["max_tokens"]) == (1, 50)


def test_a_prefix_is_pulled_without_a_prefill_side(engines, sidecar):
    decoder = engines()
    pulling = sidecar(decoder, "--kv-connector", "offloading")
    plain = sidecar(decoder)
    for front in (pulling, plain):
        assert front.post(x_kv_cache_source_host_port="10.0.0.9:8000").status_code == 200
        assert front.post(x_kv_cache_source_host_port="nonsense").status_code == 200
    source = decoder.requests[0].body["kv_transfer_params"]["remote_kv_source"]
    assert (source["remote_host"], source["remote_port"]) == ("10.0.0.9", 7777)
    assert [raw_of(decoder, i) for i in (1, 2, 3)] == [BODY] * 3
    assert header_of(decoder.requests[2], "x-kv-cache-source-host-port") == []


def test_nixl_with_pulls_names_the_source_in_the_prefill_leg(engines, sidecar):
    prefiller, decoder = engines(), engines()
    prefiller.then(prefilled()).then(prefilled())
    front = sidecar(decoder, "--enable-p2p-pull")
    assert split(front, prefiller, x_kv_cache_source_host_port="10.0.0.9:8000").status_code == 200
    assert split(front, prefiller, x_kv_cache_source_host_port=host_port(prefiller)).status_code == 200
    assert prefiller.requests[0].body["kv_transfer_params"]["remote_kv_source"]["remote_host"] == "10.0.0.9"
    assert "remote_kv_source" not in prefiller.requests[1].body["kv_transfer_params"]


MORIIO = ("--moriio-write-mode", "--moriio-local-pod-ip", "10.0.0.2", "--moriio-dp-size", "4")


def test_moriio_tells_each_side_of_the_other(engines, sidecar):
    prefiller, decoder = engines(), engines()
    told = '{"remote_block_ids":[1],"remote_dp_rank":2,"remote_notify_port":9}'
    prefiller.then(raw_answer(f'{{"kv_transfer_params":{told}}}'))
    assert split(sidecar(decoder, *MORIIO), prefiller).status_code == 200
    first = prefiller.requests[0].body["kv_transfer_params"]
    assert (first["remote_host"], first["remote_notify_port"]) == ("10.0.0.2", 61005)
    assert header_of(prefiller.requests[0], "x-data-parallel-rank") == [str(first["remote_dp_rank"])]
    second = decoder.requests[0].body["kv_transfer_params"]
    assert second == {
        "remote_block_ids": [1],
        "remote_dp_rank": 2,
        "remote_notify_port": 9,
        "remote_dp_rank_override": True,
        "transfer_id": first["transfer_id"],
        "remote_handshake_port": 6301,
        "remote_dp_size": 4,
    }
    assert header_of(decoder.requests[0], "x-data-parallel-rank") == ["2"]


def test_moriio_in_parallel_answers_only_after_the_prefill_side(engines, sidecar):
    prefiller, decoder = engines(), engines()
    released = threading.Event()

    def late(request: FakeRequest) -> None:
        released.wait(10)
        prefilled()(request)

    prefiller.then(late)
    front = sidecar(decoder, *MORIIO, "--moriio-parallel-dispatch", "--moriio-parallel-decode-wait-timeout", "2s")
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(split(front, prefiller)))
    asking.start()
    wait_for(lambda: bool(decoder.requests), "the decode leg")
    time.sleep(0.2)
    assert not answers
    released.set()
    asking.join(10)
    assert answers[0].status_code == 200
    sent = decoder.requests[0].body["kv_transfer_params"]
    assert (sent["do_remote_prefill"], sent["remote_block_ids"]) == (True, [])
    assert sent["remote_engine_id"] == "127.0.0.1:6301"
    released.clear()
    prefiller.then(late)
    assert split(front, prefiller).status_code == 200, "beyond the wait the engine here computes the prompt"
    assert raw_of(decoder, 2) == BODY
    released.set()


def test_moriio_hosts_that_are_names_are_looked_up(engines, sidecar):
    prefiller, decoder = engines(), engines()
    metrics = unused_port()
    names = ("--moriio-local-pod-ip", "localhost", "--moriio-decode-hosts", "localhost,no-such-host.invalid")
    ranks = ("--moriio-dp-size", "4", "--moriio-dp-size-local", "2")
    front = sidecar(decoder, "--moriio-write-mode", *names, *ranks, "--metrics-port", str(metrics))

    def page() -> str:
        return httpx.get(f"http://127.0.0.1:{metrics}/metrics").text

    wait_for(lambda: "moriio_dns_lookup_failures_total 1" in page(), "the end of the look-ups")
    assert "moriio_dns_reresolve_total 1" in page()
    prefiller.then(prefilled())
    assert split(front, prefiller).status_code == 200
    params = prefiller.requests[0].body["kv_transfer_params"]
    assert params["remote_host"] == "127.0.0.1"
    assert params["remote_hosts"] == ["127.0.0.1", "no-such-host.invalid"]


# --- shared storage ---

THRESHOLD = BODY[:-1] + ',"cache_hit_threshold":0.5}'


def finished(reason: str) -> str:
    return json.dumps({"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": reason}]})


def test_shared_storage_prefills_first(engines, sidecar):
    prefiller, decoder = engines(), engines()
    assert split(sidecar(decoder, "--kv-connector", "shared-storage"), prefiller).status_code == 200
    first, second = prefiller.requests[0].body, decoder.requests[0].body
    assert (first["max_tokens"], first["max_completion_tokens"], first["cache_hit_threshold"]) == (1, 1, 0)
    assert first["stream"] is False
    assert second == json.loads(BODY) | {"cache_hit_threshold": 0}


def test_shared_storage_asks_the_engine_here_first_if_the_client_says_so(engines, sidecar):
    prefiller, decoder = engines(), engines()
    front = sidecar(decoder, "--kv-connector", "shared-storage")
    decoder.then(raw_answer(finished("stop")))
    assert split(front, prefiller, THRESHOLD).text == finished("stop")
    assert prefiller.requests == []
    decoder.then(raw_answer(finished("cache_threshold")))
    assert "hello" in split(front, prefiller, THRESHOLD).text
    assert (len(prefiller.requests), raw_of(decoder, 1)) == (1, THRESHOLD)
    assert decoder.requests[2].body["cache_hit_threshold"] == 0
    decoder.then(raw_answer('{"error":"x"}', 500))
    assert split(front, prefiller, THRESHOLD).status_code == 500


def test_shared_storage_looks_into_streams(engines, sidecar):
    prefiller, decoder = engines(), engines()
    front = sidecar(decoder, "--kv-connector", "shared-storage")

    def too_little(request: FakeRequest) -> None:
        request.start_stream()
        request.token("")
        request.event('{"choices":[{"delta":{},"finish_reason":"cache_threshold"}]}')
        request.wait_for_close()

    streamed = THRESHOLD[:-1] + ',"stream":true}'
    decoder.then(too_little).then(streamed_answer("a", "b"))
    assert split(front, prefiller, streamed).text.count("data:") == 3
    assert len(prefiller.requests) == 1
    decoder.then(streamed_answer("", "here"))
    assert "here" in split(front, prefiller, streamed).text
    assert len(prefiller.requests) == 1


# --- encode stage ---

IMAGE = '{"type":"image_url","image_url":{"url":"http://x/%d.png"}}'
MEDIA = (
    '{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what?"},'
    f"{IMAGE % 1},{IMAGE % 2},{IMAGE % 1}]}}],\"max_tokens\":9}}"
)


@pytest.mark.parametrize("with_prefill", [False, True])
def test_encoders_get_one_item_each(engines, sidecar, with_prefill):
    encoders, prefiller, decoder = [engines(), engines()], engines(), engines()
    front = sidecar(decoder, "--ec-connector", "ec-nixl")
    for i, encoder in enumerate(encoders):
        encoder.then(raw_answer('{"ec_transfer_params":{"h%d":{"n":9007199254740993},"same":%d}}' % (i, i)))
    prefiller.then(prefilled())
    headers = {"x_encoder_hosts_ports": ",".join(host_port(encoder) for encoder in encoders), "x_request_id": "r"}
    if with_prefill:
        headers["x_prefiller_host_port"] = host_port(prefiller)
    assert front.post(MEDIA, **headers).status_code == 200
    for i, encoder in enumerate(encoders):
        assert len(encoder.requests) == 1
        body = encoder.requests[0].body
        assert body["messages"] == [{"role": "user", "content": [json.loads(IMAGE % (i + 1))]}]
        assert (body["max_tokens"], body["stream"]) == (1, False)
        assert header_of(encoder.requests[0], "x-request-id") == [f"r-enc-{i}"]
    target = prefiller if with_prefill else decoder
    assert '"ec_transfer_params":{"h0":{"n":9007199254740993},"same":1,"h1":{"n":9007199254740993}}' in raw_of(target)
    assert target.requests[0].body["cache_hit_threshold"] == 0
    assert target.requests[0].body["messages"] == json.loads(MEDIA)["messages"]


@pytest.mark.parametrize("threshold", ["", '"cache_hit_threshold":0.9,'])
def test_encoders_leave_shared_storage_its_order(engines, sidecar, threshold):
    encoder, prefiller, decoder = engines(), engines(), engines()
    front = sidecar(decoder, "--ec-connector", "ec-example", "--kv-connector", "shared-storage")
    if threshold:
        decoder.then(raw_answer('{"choices":[{"index":0,"finish_reason":"cache_threshold"}]}'))
    prefiller.then(prefilled())
    body = "{" + threshold + MEDIA[1:]
    headers = {"x_encoder_hosts_ports": host_port(encoder), "x_prefiller_host_port": host_port(prefiller)}
    assert front.post(body, **headers).status_code == 200
    assert len(prefiller.requests) == 1
    asked = [request.body["cache_hit_threshold"] for request in decoder.requests]
    assert asked == ([0.9, 0] if threshold else [0])


def test_encoders_are_not_sent_a_long_rest_many_times(engines, sidecar):
    encoder, decoder = engines(), engines()
    front = sidecar(decoder, "--ec-connector", "ec-nixl", "--max-body", "16Ki")
    rest = '{"user":"' + "x" * 10_000 + '",' + MEDIA[1:]
    answer = front.post(rest, x_encoder_hosts_ports=host_port(encoder))
    assert (answer.status_code, encoder.requests, decoder.requests) == (413, [], [])


def test_encoders_with_a_shared_store_only_prime_it(engines, sidecar):
    encoder, decoder = engines(), engines()
    encoder.then(raw_answer("no JSON")).then(raw_answer("{}"))
    front = sidecar(decoder, "--ec-connector", "ec-example")
    assert front.post(MEDIA, x_encoder_hosts_ports=host_port(encoder)).status_code == 200
    assert len(encoder.requests) == 2
    assert "ec_transfer_params" not in decoder.requests[0].body
    assert front.post(BODY, x_encoder_hosts_ports=host_port(encoder)).status_code == 200
    assert len(encoder.requests) == 2, "a text needs no encoder"


def test_an_encoder_that_fails_ends_the_request(engines, sidecar):
    encoder, decoder = engines(), engines()
    encoder.then(raw_answer("{}", 500))
    front = sidecar(decoder, "--ec-connector", "ec-nixl")
    answer = front.post(MEDIA, x_encoder_hosts_ports=host_port(encoder))
    assert (answer.status_code, answer.json()["type"]) == (502, "BadGateway")
    assert decoder.requests == []
    gone = front.post(MEDIA, x_encoder_hosts_ports=f"127.0.0.1:{unused_port()}")
    assert gone.status_code == 502


def test_encoders_are_ignored_without_a_connector(engines, sidecar):
    encoder, decoder = engines(), engines()
    assert sidecar(decoder).post(MEDIA, x_encoder_hosts_ports=host_port(encoder)).status_code == 200
    assert (encoder.requests, raw_of(decoder)) == ([], MEDIA)


# --- who may be asked ---


def test_only_allowed_hosts_are_asked(engines, sidecar):
    prefiller, encoder, decoder = engines(), engines(), engines()
    front = sidecar(decoder, "--allowed-hosts", "10.0.0.1,[fd00::1]", "--ec-connector", "ec-nixl")
    for target in (host_port(prefiller), "localhost:80", "[::1]:80", "unix:/x", "nonsense"):
        answer = front.post(x_prefiller_host_port=target)
        assert (answer.status_code, answer.json()["type"]) == (403, "Forbidden"), target
    assert (prefiller.requests, decoder.requests) == ([], [])
    assert front.post(MEDIA, x_encoder_hosts_ports=host_port(encoder)).status_code == 200
    assert encoder.requests == []
    front = sidecar(decoder, "--allowed-hosts", "127.0.0.1")
    prefiller.then(prefilled())
    assert split(front, prefiller).status_code == 200
    assert len(prefiller.requests) == 1


def test_clients_do_not_steer_engines_past_the_list(engines, sidecar):
    decoder = engines()
    front = sidecar(decoder, "--allowed-hosts", "10.0.0.1")
    evil = '{"prompt":"x","kv_transfer_params":{"remote_host":"169.254.169.254"},"bootstrap_host":"evil","n":1}'
    assert front.post(evil, "/v1/completions").status_code == 200
    assert raw_of(decoder) == '{"prompt":"x","n":1}'
    assert front.post(evil, "/v1/completion%73", x_prefiller_host_port="10.9.9.9:1").status_code == 403
    for body in (evil[:-2] + "NaN}", evil.replace('"x"', '"\ud800"').encode("utf-8", "surrogatepass")):
        front.post(body, "/generate")
    assert front.post(evil.encode("utf-16"), "/generate").status_code == 400
    for request in decoder.requests:
        assert b"169.254" not in request.raw_body
    del decoder.requests[1:]
    assert sidecar(decoder).post(evil, "/v1/completions").status_code == 200
    assert raw_of(decoder, 1) == evil


# --- data parallel ranks ---


def consecutive_ports(count: int) -> int:
    for _ in range(100):
        first = unused_port()
        try:
            for i in range(count):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", first + i))
            return first
        except OSError:
            continue
    raise AssertionError("no ports")


class Echo:
    """A server of a fixed port that tells which it is."""

    def __init__(self, port: int):
        import http.server

        class Answers(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                data = f"{port} {self.path} {len(body)}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_each_rank_has_a_port_and_the_first_takes_all(start):
    front, back = consecutive_ports(2), consecutive_ports(2)
    servers = [Echo(back), Echo(back + 1)]
    process = start(
        "sidecar", "--port", str(front), "--bind-address", "127.0.0.1", "--secure-proxy=false", "--data-parallel-size",
        "2", "--model-server-port", str(back), env={"POD_IP": "10.1.2.3"},
    )  # fmt: skip
    process.base_url()

    def ask(port: int, rank: str | None = None) -> httpx.Response:
        headers = {} if rank is None else {"x-data-parallel-host-port": rank}
        return httpx.post(f"http://127.0.0.1:{port}{CHAT}", content="{}", headers=headers)

    assert ask(front).text == f"{back} {CHAT} 2"
    assert ask(front + 1).text == f"{back + 1} {CHAT} 2"
    assert ask(front, f"10.1.2.3:{front + 1}").text == f"{back + 1} {CHAT} 2"
    assert ask(front + 1, f"10.1.2.3:{front}").text == f"{back + 1} {CHAT} 2"
    for unknown in (f"10.1.2.3:{front + 2}", "10.1.2.4:1", "x"):
        assert ask(front, unknown).status_code == 400
    for server in servers:
        server.close()


# --- chunked decode ---


def piece(text: str, reason: str | None, tokens: int, **message: object) -> Callable[[FakeRequest], None]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": reason}
    usage = {"prompt_tokens": 8, "completion_tokens": tokens, "total_tokens": 8 + tokens}
    return lambda request: request.answer(
        200, {"id": f"id-{text}", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage}
    )


def test_a_long_answer_comes_in_pieces(engines, sidecar):
    decoder = engines()
    decoder.then(piece("hello ", "length", 5)).then(piece("wor", "length", 5)).then(piece("ld", "stop", 2))
    front = sidecar(decoder, "--decode-chunk-size", "5")
    answer = front.post(BODY[:-1] + ',"min_tokens":7,"kv_transfer_params":{"x":1}}').json()
    assert answer["choices"][0]["message"]["content"] == "hello world"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 8, "completion_tokens": 12, "total_tokens": 20}
    assert answer["id"] == "id-hello "
    first, second, third = (request.body for request in decoder.requests)
    assert (first["max_tokens"], first["max_completion_tokens"], first["min_tokens"]) == (5, 5, 5)
    assert first["stream"] is False
    assert "kv_transfer_params" in first and "kv_transfer_params" not in second
    assert (second["continue_final_message"], second["add_generation_prompt"]) == (True, False)
    assert second["min_tokens"] == 2
    assert second["messages"] == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello "}]
    assert third["messages"][1:] == [{"role": "assistant", "content": "hello wor"}], "one message that grows"


def test_a_stream_of_pieces_is_one_a_client_reads(engines, sidecar):
    decoder = engines()
    decoder.then(piece("hello ", "length", 5)).then(piece("world", "stop", 5))
    front = sidecar(decoder, "--decode-chunk-size", "5")
    answer = front.post('{"messages":[{"role":"user","content":"hi"}],"max_tokens":10,"stream":true}')
    assert answer.headers["content-type"] == "text/event-stream"
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert len(events) == 4 and events[3] == "[DONE]"
    parsed = [json.loads(event) for event in events[:3]]
    assert [event["object"] for event in parsed] == ["chat.completion.chunk"] * 3
    assert len({event["id"] for event in parsed}) == 1
    begun = {"index": 0, "delta": {"role": "assistant", "content": "hello "}, "finish_reason": None}
    assert parsed[0]["choices"] == [begun]
    assert parsed[1]["choices"] == [{"index": 0, "delta": {"content": "world"}, "finish_reason": "stop"}]
    assert parsed[2]["choices"] == []
    assert parsed[2]["usage"] == {"prompt_tokens": 8, "completion_tokens": 10, "total_tokens": 18}


@pytest.mark.parametrize(
    "extra",
    ['"max_tokens":5', '"tools":[{"type":"function"}]', '"n":2', '"logprobs":true', '"response_format":{"type":"x"}'],
)
def test_what_pieces_would_spoil_is_asked_for_whole(engines, sidecar, extra):
    decoder = engines()
    body = '{"messages":[{"role":"user","content":"hi"}],%s}' % extra
    assert sidecar(decoder, "--decode-chunk-size", "5").post(body).status_code == 200
    assert [raw_of(decoder)] == [body]


def test_reasoning_is_asked_for_again_whole(engines, sidecar):
    decoder = engines()
    decoder.then(piece("", "length", 5, reasoning_content="hm"))
    answer = sidecar(decoder, "--decode-chunk-size", "5").post()
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    assert raw_of(decoder, 1) == BODY


def test_a_piece_that_fails_is_told(engines, sidecar):
    decoder = engines()
    front = sidecar(decoder, "--decode-chunk-size", "5")
    decoder.then(raw_answer('{"error":"down"}', 502))
    answer = front.post()
    assert (answer.status_code, answer.text) == (502, '{"error":"down"}')
    decoder.then(piece("a", "length", 5)).then(raw_answer("{}", 500))
    streamed = front.post(BODY[:-1] + ',"stream":true}')
    assert '"error"' in streamed.text and "[DONE]" not in streamed.text


@pytest.mark.parametrize("streams", [False, True])
def test_pieces_end_where_the_engine_has_no_room(engines, sidecar, streams):
    decoder = engines()
    front = sidecar(decoder, "--decode-chunk-size", "5")
    open_ended = '{"messages":[{"role":"user","content":"hi"}],"stream":%s}' % json.dumps(streams)
    decoder.then(piece("a", "length", 5)).then(raw_answer('{"error":"too long"}', 400))
    answer = front.post(open_ended)
    assert answer.status_code == 200
    if streams:
        events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line and "[DONE]" not in line]
        assert events[1]["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "length"}]
        assert events[2]["usage"]["completion_tokens"] == 5 and "[DONE]" in answer.text
    else:
        choice = answer.json()["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("a", "length")


def test_pieces_without_counts_end_by_the_length_asked_for(engines, sidecar):
    decoder = engines()
    for _ in range(4):
        decoder.then(raw_answer('{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"length"}]}'))
    answer = sidecar(decoder, "--decode-chunk-size", "5").post(BODY.replace("50", "12")).json()
    assert answer["choices"][0]["message"]["content"] == "aaa"
    assert [request.body["max_tokens"] for request in decoder.requests] == [5, 5, 2]


def test_nixl_and_pieces_go_together(engines, sidecar):
    prefiller, decoder = engines(), engines()
    prefiller.then(prefilled(6))
    decoder.then(piece("a", "length", 5)).then(piece("b", "stop", 1))
    answer = split(sidecar(decoder, "--decode-chunk-size", "5"), prefiller).json()
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 6}
    assert decoder.requests[0].body["kv_transfer_params"] == json.loads(PARAMS)
    assert "kv_transfer_params" not in decoder.requests[1].body


# --- the proxy ---


def test_everything_else_goes_through(engines, sidecar):
    decoder = engines()
    front = sidecar(decoder)
    assert httpx.get(front.url + "/v1/models?x=1").status_code == 404, "the query goes along"
    assert httpx.get(front.url + "/v1/models").json()["data"][0]["id"] == "m"
    assert front.post('{"input":"x"}', "/v1/embeddings?a=b", connection="x-drop", x_drop="1").status_code == 200
    request = decoder.requests[0]
    assert (request.path, request.raw_body) == ("/v1/embeddings?a=b", b'{"input":"x"}')
    assert header_of(request, "x-drop") == []


def test_health_is_the_sidecars_and_the_engines_is_beside_it(engines, sidecar):
    decoder = engines()
    front = sidecar(decoder)
    decoder.ready = False
    assert httpx.get(front.url + "/health").status_code == 200
    assert httpx.get(front.url + "/health/engine").status_code == 503
    decoder.ready = True
    assert httpx.get(front.url + "/health/engine").status_code == 200


def test_an_engine_that_is_not_there_is_told(sidecar):
    answer = sidecar(unused_port()).post()
    assert (answer.status_code, answer.json()["type"], answer.json()["code"]) == (503, "ServiceUnavailable", 503)


def test_an_answer_that_is_cut_is_seen_cut(engines, sidecar):
    decoder = engines()

    def cut(request: FakeRequest) -> None:
        request.start_stream()
        request.token("a")
        request.cut()

    decoder.then(cut)
    with pytest.raises(httpx.RemoteProtocolError):
        sidecar(decoder).post(BODY[:-1] + ',"stream":true}')


@pytest.mark.parametrize("with_prefill", [False, True])
def test_a_stream_passes_as_it_comes(engines, sidecar, with_prefill):
    prefiller, decoder = engines(), engines()
    go_on = threading.Event()

    def stream(request: FakeRequest) -> None:
        request.start_stream()
        request.token("first")
        assert go_on.wait(10)
        request.token("second")
        request.end_stream()

    prefiller.then(prefilled())
    decoder.then(stream)
    front = sidecar(decoder)
    headers = {"x-prefiller-host-port": host_port(prefiller)} if with_prefill else {}
    with httpx.stream("POST", front.url + CHAT, content=BODY, headers=headers, timeout=10) as answer:
        pieces = answer.iter_text()
        assert "first" in next(pieces)
        go_on.set()
        assert "second" in "".join(pieces)


@pytest.mark.parametrize("connector", ["nixlv2", "sglang", "offloading"])
def test_a_client_that_leaves_ends_all_legs(engines, sidecar, connector):
    prefiller, decoder = engines(), engines()
    closed = [threading.Event(), threading.Event()]
    prefiller.then(lambda request: closed[0].set() if request.wait_for_close() else None)
    decoder.then(lambda request: closed[1].set() if request.wait_for_close() else None)
    front = sidecar(decoder, "--kv-connector", connector)
    asking = {"x-prefiller-host-port": host_port(prefiller)}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(front.url + CHAT, content=BODY, headers=asking, timeout=0.5)
    assert closed[0].wait(5)
    if connector == "nixlv2":
        assert decoder.requests == []
    else:
        assert closed[1].wait(5)


def test_a_client_that_leaves_ends_the_engines_work(engines, sidecar):
    decoder = engines()
    closed = threading.Event()

    def stream(request: FakeRequest) -> None:
        request.start_stream()
        request.token("a")
        if request.wait_for_close():
            closed.set()

    decoder.then(stream)
    with httpx.stream("POST", sidecar(decoder).url + CHAT, content=BODY[:-1] + ',"stream":true}') as answer:
        next(answer.iter_text())
    assert closed.wait(5)


def test_tls_to_clients_and_on_the_prefill_leg(engines, start):
    """Two sidecars in a row: the first one's prefill side is the second, which has made itself a certificate."""
    prefiller, decoder = engines(), engines()
    prefiller.then(prefilled()).then(prefilled())
    local = ("--port", "0", "--bind-address", "127.0.0.1")
    behind = start("sidecar", *local, "--model-server-port", str(port_of(prefiller)))
    port = behind.base_url().rpartition(":")[2]
    assert httpx.get(f"https://127.0.0.1:{port}/health", verify=False).status_code == 200
    trusting = Sidecar(start, port_of(decoder), "--enable-tls=prefiller", "--tls-insecure-skip-verify=prefiller")
    assert trusting.post(x_prefiller_host_port=f"127.0.0.1:{port}").status_code == 200
    assert decoder.requests[0].body["kv_transfer_params"] == json.loads(PARAMS)
    checking = Sidecar(start, port_of(decoder), "--enable-tls=prefiller")
    assert checking.post(x_prefiller_host_port=f"127.0.0.1:{port}").status_code == 200
    assert raw_of(decoder, 1) == BODY, "a certificate that is not trusted: no prefill"


def test_the_page_counts(engines, sidecar):
    prefiller, decoder = engines(), engines()
    metrics = unused_port()
    front = sidecar(decoder, "--metrics-port", str(metrics))
    prefiller.then(prefilled()).then(raw_answer("{}", 500))
    split(front, prefiller)
    split(front, prefiller)
    front.post()
    page = httpx.get(f"http://127.0.0.1:{metrics}/metrics").text
    for line in (
        'llmd_sidecar_requests_total{way="split"} 2',
        'llmd_sidecar_requests_total{way="local"} 1',
        "llmd_sidecar_prefill_failures_total 1",
        "llmd_sidecar_local_prefills_total 1",
        "llmd_sidecar_prefill_seconds_count 1",
        "moriio_dns_reresolve_total 0",
    ):
        assert line in page, line


def test_requests_under_way_end_before_the_sidecar(engines, sidecar):
    decoder = engines()
    go_on = threading.Event()

    def late(request: FakeRequest) -> None:
        go_on.wait(10)
        whole_answer("late")(request)

    decoder.then(late)
    front = sidecar(decoder)
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(front.post()))
    asking.start()
    wait_for(lambda: bool(decoder.requests), "the request")
    front.process.process.terminate()
    front.process.wait_for_log("1 are under way")
    go_on.set()
    asking.join(10)
    assert "late" in answers[0].text
    assert front.process.wait() == 0


def test_a_configuration_stands_below_the_flags(engines, sidecar, tmp_path):
    prefiller, decoder = engines(), engines()
    file = tmp_path / "sidecar.yaml"
    file.write_text("kv-connector: sglang\nprefill-retry-backoff: 1s\nenable-tls: [encoder]\nsecure-proxy: true\n")
    front = sidecar(decoder, "--configuration-file", str(file))
    assert split(front, prefiller).status_code == 200
    assert "bootstrap_room" in decoder.requests[0].body
    front = sidecar(decoder, "--configuration={kv-connector: sglang}", "--kv-connector=offloading")
    assert split(front, prefiller).status_code == 200
    assert "remote_prefiller" in decoder.requests[1].body["kv_transfer_params"]


# --- real engines ---


def test_real_workers_give_the_text_of_one_and_move_the_blocks(start, model_path, sidecar):
    worker = ("--model", str(model_path), "--listen", "127.0.0.1:0", "--store-memory", "256MiB", "--threads", "1")
    prefiller = start("worker", *worker, "--role", "prefill")
    decoder = start("worker", *worker, "--role", "decode")
    urls = [process.base_url() for process in (prefiller, decoder)]
    for process, url in zip((prefiller, decoder), urls, strict=True):
        process.wait_ready(url)
    front = sidecar(int(urls[1].rpartition(":")[2]))
    prompt = " ".join(f"Line {i} says that nothing is to be changed without a reason." for i in range(20))
    body = {"prompt": prompt, "max_tokens": 12, "temperature": 0, "cache_salt": "alone"}
    alone = httpx.post(f"{urls[0]}/v1/completions", json=body, timeout=60).json()
    headers = {"x-prefiller-host-port": urls[0].removeprefix("http://")}
    whole = httpx.post(f"{front.url}/v1/completions", json=body | {"cache_salt": "a"}, headers=headers, timeout=60)
    assert whole.json()["choices"][0]["text"] == alone["choices"][0]["text"]
    moved = dict(part.split("=") for part in whole.headers["x-llmd-kv-transfer"].split(", "))
    prompt_tokens = whole.json()["usage"]["prompt_tokens"]
    assert (int(moved["blocks"]), moved["recomputed_tokens"]) == ((prompt_tokens - 1) // 32, "0")
    streamed = body | {"cache_salt": "b", "stream": True, "stream_options": {"include_usage": True}}
    lines = httpx.post(f"{front.url}/v1/completions", json=streamed, headers=headers, timeout=60).text.split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    text = "".join(event["choices"][0]["text"] for event in events if event["choices"])
    assert text == alone["choices"][0]["text"]
    assert events[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] == 0, "the prefill side had none of it"
    prefiller.close()
    body["cache_salt"] = "c"
    again = httpx.post(f"{front.url}/v1/completions", json=body, headers=headers, timeout=60).json()
    assert again["choices"][0]["text"] == alone["choices"][0]["text"], "without the prefill side, too"
