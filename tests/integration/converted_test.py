"""`/v1/messages` and `/v1/responses` of a gateway in front of engines that the test drives: some know only chat
completions, some speak the API themselves."""

import json
import re
import threading
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

from fake_engine import FakeRequest
from gateway_test import admin_client
from pd_legs import ASK_PREFILL
from waiting import wait_for

CHAT_ONLY = {"/metrics": "tgi_queue_size 0\ntgi_batch_current_size 0\n"}
VLLM = 'vllm:num_requests_waiting{{model_name="m"}} {}\nvllm:num_requests_running{{model_name="m"}} 0\n'
MESSAGES = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
RESPONSES = {"model": "m", "max_output_tokens": 9, "input": "hi"}
BODIES = {"/v1/messages": MESSAGES, "/v1/responses": RESPONSES}
USAGE = {"prompt_tokens": 30, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 16}}


def anthropic_client(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="key-of-client", max_retries=0, timeout=30)


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="key-of-client", max_retries=0, timeout=30)


def named_events(text: str) -> list[tuple[str, dict]]:
    return [(name, json.loads(data)) for name, data in re.findall(r"^event: (.*)\ndata: (.*)$", text, re.MULTILINE)]


def events_in_pieces(*events: dict, size: int):
    """A stream of chat completion events that arrives `size` bytes at a time."""

    def behave(request: FakeRequest) -> None:
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        request.start_stream()
        data = text.encode()
        for at in range(0, len(data), size):
            request.chunk(data[at : at + size])
        request.raw(b"0\r\n\r\n")

    return behave


def delta(finish: str | None = None, stop: str | None = None, **members) -> dict:
    choice = {"index": 0, "delta": members, "finish_reason": finish, "stop_reason": stop}
    return {"id": "x", "object": "chat.completion.chunk", "choices": [choice], "usage": None}


def call(index: int, arguments: str, **head) -> dict:
    return {"index": index, **({"id": head["id"], "type": "function"} if head else {}),
            "function": {"arguments": arguments, **({"name": head["name"]} if head else {})}}


ANSWER_EVENTS = (
    delta(role="assistant", content=""),
    delta(reasoning_content="hm"),
    delta(content="Look"),
    delta(content="ing"),
    delta(tool_calls=[call(0, "", id="c1", name="f")]),
    delta(tool_calls=[call(0, '{"a":')]),
    delta(tool_calls=[call(0, "1}")]),
    delta(tool_calls=[call(1, "{}", id="c2", name="g")]),
    delta(finish="tool_calls"),
    {"id": "x", "choices": [], "usage": USAGE},
)


def test_a_message_becomes_a_chat_and_its_answer_a_message(engines, gateway):
    engine = engines(pages=CHAT_ONLY)
    _, url = gateway(engine)
    answer = anthropic_client(url).messages.create(
        model="m", max_tokens=9, system=[{"type": "text", "text": "be brief"}], stop_sequences=["END"],
        metadata={"user_id": "ann"}, tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        tools=[{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
        messages=[
            {"role": "user", "content": [
                {"type": "text", "text": "see"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "calling"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]},
        ],
        extra_body={"top_k": 5},
    )
    (request,) = engine.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["Authorization"] == "Bearer key-of-client"
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
    used = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert request.body == {
        "model": "m", "max_tokens": 9, "stop": ["END"], "user": "ann", "top_k": 5, "tools": [tool],
        "tool_choice": "auto", "parallel_tool_calls": False,
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "see"}, {
                "type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "assistant", "content": "calling", "reasoning_content": "hm", "tool_calls": [used]},
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        ],
    }  # fmt: skip
    assert answer.content[0].text == "hello" and answer.stop_reason == "end_turn" and answer.model == "m"
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (1, 2, 4)


def test_a_response_becomes_a_chat_and_its_answer_a_response(engines, gateway):
    engine = engines(pages=CHAT_ONLY)
    _, url = gateway(engine)
    answer = openai_client(url).responses.create(
        model="m", max_output_tokens=9, instructions="be brief", user="ann", reasoning={"effort": "low"},
        tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        tool_choice={"type": "function", "name": "f"},
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "see"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "ok"},
        ],
    )
    (request,) = engine.requests
    assert request.path == "/v1/chat/completions"
    used = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert request.body == {
        "model": "m", "max_tokens": 9, "user": "ann", "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "see"},
            {"role": "assistant", "content": "", "tool_calls": [used]},
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        ],
    }
    assert answer.output_text == "hello" and answer.status == "completed" and answer.model == "m"
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (3, 4, 7)
    assert answer.usage.input_tokens_details.cached_tokens == 2


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_a_stream_is_converted_however_it_is_cut(engines, gateway, runtime_folder, size):
    engine = engines(pages=CHAT_ONLY).then(events_in_pieces(*ANSWER_EVENTS, size=size))
    _, url = gateway(engine)
    with anthropic_client(url).messages.stream(
        model="m", max_tokens=9, messages=MESSAGES["messages"], extra_headers={"x-request-id": "r1"}
    ) as stream:
        message = stream.get_final_message()
    assert engine.requests[0].body["stream"] is True
    assert engine.requests[0].body["stream_options"] == {"include_usage": True}
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.content[0].thinking == "hm" and message.content[1].text == "Looking"
    assert [(b.id, b.name, b.input) for b in message.content[2:]] == [("c1", "f", {"a": 1}), ("c2", "g", {})]
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (14, 16, 2)
    outcome = admin_client(runtime_folder).get("/explanations/r1").json()["outcome"]
    assert [outcome[f"{kind}_tokens"] for kind in ("prompt", "cached", "completion")] == [30, 16, 2]


@pytest.mark.parametrize("size", [1, 64, 100_000])
def test_a_stream_becomes_a_response_however_it_is_cut(engines, gateway, size):
    engine = engines(pages=CHAT_ONLY).then(events_in_pieces(*ANSWER_EVENTS, size=size))
    _, url = gateway(engine)
    with openai_client(url).responses.stream(model="m", input="hi") as stream:
        events = list(stream)
        response = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call", "function_call"]
    assert response.output[0].content[0].text == "hm" and response.output_text == "Looking"
    calls = [(item.call_id, item.name, item.arguments) for item in response.output[2:]]
    assert calls == [("c1", "f", '{"a":1}'), ("c2", "g", "{}")]
    assert response.status == "completed"
    assert response.usage.input_tokens == 30 and response.usage.input_tokens_details.cached_tokens == 16


def test_a_stop_sequence_of_the_clients_is_named_and_no_other(engines, gateway):
    engine = engines(pages=CHAT_ONLY)
    _, url = gateway(engine)
    client = anthropic_client(url)
    for stop, reason, sequence in (("END", "stop_sequence", "END"), ("<|im_end|>", "end_turn", None)):
        engine.then(events_in_pieces(delta(content="a"), delta(finish="stop", stop=stop), size=50))
        with client.messages.stream(**MESSAGES, stop_sequences=["END"]) as stream:
            message = stream.get_final_message()
        assert (message.stop_reason, message.stop_sequence) == (reason, sequence)


def test_tokens_are_counted_by_an_engine_that_knows_tokenize(engines, gateway):
    engine = engines(pages=CHAT_ONLY).then(lambda request: request.answer(200, {"count": 7, "tokens": []}))
    _, url = gateway(engine)
    counted = anthropic_client(url).messages.count_tokens(model="m", system="s", messages=MESSAGES["messages"])
    assert counted.input_tokens == 7
    assert engine.requests[0].path == "/tokenize"
    assert engine.requests[0].body["messages"] == [
        {"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("streamed", [False, True])
def test_who_speaks_the_api_gets_and_gives_every_byte_as_it_is(engines, gateway, runtime_folder, path, streamed):
    last = "message_stop" if path == "/v1/messages" else "response.completed"
    first = {"usage": {"input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 1}}
    told = (
        f"event: first\ndata: {json.dumps(first)}\n\n"
        f'event: {last}\ndata: {{"odd" :  1, "usage":{{"output_tokens":5}}}}\n\n'
    )

    def behave(request: FakeRequest) -> None:
        if not streamed:
            request.answer(200, {"odd": "answer", "usage": {"input_tokens": 3, "output_tokens": 5}})
            return
        request.start_stream()
        request.chunk(told.encode())
        request.raw(b"0\r\n\r\n")

    engine = engines(pages={"/metrics": VLLM.format(0)}).then(behave)
    _, url = gateway(engine)
    wait_for(lambda: engine_names(runtime_folder) == ["vllm"], "the engine's name")
    body = json.dumps({**BODIES[path], "stream": streamed, "odd": [1,  2]}, separators=(" ,", " : ")).encode()
    headers = {"Content-Type": "application/json", "x-request-id": "r1"}
    answer = httpx.post(f"{url}{path}", content=body, headers=headers)
    assert (engine.requests[0].path, engine.requests[0].raw_body) == (path, body)
    if streamed:
        assert answer.text == told
    else:
        assert answer.json()["odd"] == "answer"
    outcome = admin_client(runtime_folder).get("/explanations/r1").json()["outcome"]
    # Anthropic counts apart what was cached.
    prompt_tokens = 5 if streamed and path == "/v1/messages" else 3
    assert (outcome["prompt_tokens"], outcome["completion_tokens"]) == (prompt_tokens, 5)


def engine_names(runtime_folder: Path) -> list[str]:
    with admin_client(runtime_folder) as admin:
        return [endpoint.get("engine") or "" for endpoint in admin.get("/endpoints").json()["endpoints"]]


@pytest.mark.parametrize("path", BODIES)
def test_an_engine_too_old_for_the_api_is_asked_once_and_then_in_chats(engines, gateway, runtime_folder, path):
    missing = lambda request: request.answer(404, {"detail": "Not Found"})
    engine = engines(pages={"/metrics": VLLM.format(0)}).then(missing)
    _, url = gateway(engine)
    wait_for(lambda: engine_names(runtime_folder) == ["vllm"], "the engine's name")
    for _ in range(2):
        assert httpx.post(f"{url}{path}", json=BODIES[path]).status_code == 200
    assert [r.path for r in engine.requests] == [path, "/v1/chat/completions", "/v1/chat/completions"]


def test_a_model_that_is_not_there_is_no_missing_path(engines, gateway, runtime_folder):
    missing = lambda request: request.answer(404, {"error": {"message": "no such model", "type": "NotFoundError"}})
    engine = engines(pages={"/metrics": VLLM.format(0)}).then(missing).then(missing)
    _, url = gateway(engine)
    wait_for(lambda: engine_names(runtime_folder) == ["vllm"], "the engine's name")
    refused = httpx.post(f"{url}/v1/messages", json=MESSAGES)
    assert refused.status_code == 404
    assert refused.json() == {"type": "error", "error": {
        "type": "not_found_error", "message": "no such model", "param": None, "code": None}}
    assert httpx.post(f"{url}/v1/messages", json=MESSAGES).status_code == 200
    assert [r.path for r in engine.requests] == ["/v1/messages", "/v1/chat/completions", "/v1/messages"]


@pytest.mark.parametrize(("label", "path"), [("none", "/v1/chat/completions"), ("messages", "/v1/messages")])
def test_a_label_says_what_an_endpoint_speaks(engines, start, runtime_folder, tmp_path, label, path):
    page = VLLM.format(0) if label == "none" else CHAT_ONLY["/metrics"]
    engine = engines(pages={"/metrics": page})
    url = gateway_of_file(start, runtime_folder, tmp_path, {"a": (engine, {"llmd.ai/native-apis": label})})
    wait_for(lambda: all(engine_names(runtime_folder)), "the engine's name")
    assert httpx.post(f"{url}/v1/messages", json=MESSAGES).status_code == 200
    assert engine.requests[0].path == path


def gateway_of_file(start, runtime_folder: Path, tmp_path: Path, endpoints: dict, *arguments: str) -> str:
    lines = ["endpoints:"]
    for name, (engine, labels) in endpoints.items():
        port = engine.url.rsplit(":", 1)[1]
        lines.append(f'- {{name: {name}, address: 127.0.0.1, port: "{port}", labels: {json.dumps(labels)}}}')
    (tmp_path / "endpoints.yaml").write_text("\n".join(lines))
    process = start(
        "gateway", "--listen", "127.0.0.1:0", "--loops", "1", "--probe-interval", "100",
        "--endpoints", str(tmp_path / "endpoints.yaml"), *arguments, env={"XDG_RUNTIME_DIR": str(runtime_folder)},
    )  # fmt: skip
    url = process.base_url()
    wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints_ready"] == len(endpoints), "ready engines")
    return url


def fail_before_the_head(request: FakeRequest) -> None:
    request.cut()


def fail_within_the_first_event(request: FakeRequest) -> None:
    request.start_stream()
    request.chunk(b'data: {"choices"')
    request.cut()


def refuse(request: FakeRequest) -> None:
    request.answer(503, {"error": {"message": "loading"}})


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("failure", [fail_before_the_head, fail_within_the_first_event, refuse])
def test_another_endpoint_takes_over_while_nothing_was_streamed(engines, gateway, path, failure):
    first = engines(pages=CHAT_ONLY).then(failure)
    second = engines(pages={"/metrics": "tgi_queue_size 9\ntgi_batch_current_size 0\n"}).then(
        events_in_pieces(delta(content="a"), delta(finish="stop"), size=9))
    _, url = gateway(first, second)
    answer = httpx.post(f"{url}{path}", json={**BODIES[path], "stream": True})
    assert answer.status_code == 200
    last = {"/v1/messages": "message_stop", "/v1/responses": "response.completed"}[path]
    assert named_events(answer.text)[-1][0] == last
    assert len(second.requests) == 1


def cut_later(request: FakeRequest) -> None:
    request.start_stream()
    request.token("a")
    request.chunk(b'data: {"half')
    request.cut()


def turn_malformed(request: FakeRequest) -> None:
    request.start_stream()
    request.token("a")
    request.event("no JSON")
    request.token("b")
    request.end_stream()


def own_error(request: FakeRequest) -> None:
    request.start_stream()
    request.token("a")
    request.event('{"error":{"message":"engine died","type":"server_error"}}')
    request.raw(b"0\r\n\r\n")


@pytest.mark.parametrize("failure", [cut_later, turn_malformed, own_error])
def test_a_stream_that_breaks_ends_in_each_apis_error_event(engines, gateway, failure):
    engine = engines(pages=CHAT_ONLY).then(failure).then(failure).then(failure)
    _, url = gateway(engine)
    events = named_events(httpx.post(f"{url}/v1/messages", json={**MESSAGES, "stream": True}).text)
    name, data = events[-1]
    assert name == "error" and data["type"] == "error" and data["error"]["type"].endswith("_error")
    assert [name for name, _ in events].count("error") == 1
    events = named_events(httpx.post(f"{url}/v1/responses", json={**RESPONSES, "stream": True}).text)
    name, data = events[-1]
    assert name == "response.failed" and data["response"]["status"] == "failed"
    assert data["response"]["error"]["code"] == "server_error"
    assert data["response"]["output"][0]["content"][0]["text"] == "a", "what came before stays"
    with pytest.raises(anthropic.APIStatusError):
        with anthropic_client(url).messages.stream(**MESSAGES) as stream:
            stream.get_final_message()


def test_a_native_stream_that_is_cut_ends_in_the_apis_error_event(engines, gateway, runtime_folder):
    def cut(request: FakeRequest) -> None:
        request.start_stream()
        request.chunk(b'event: message_start\ndata: {"type":"message_start","message":{}}\n\nevent: mess')
        request.cut()

    engine = engines(pages={"/metrics": VLLM.format(0)}).then(cut)
    _, url = gateway(engine)
    wait_for(lambda: engine_names(runtime_folder) == ["vllm"], "the engine's name")
    events = named_events(httpx.post(f"{url}/v1/messages", json={**MESSAGES, "stream": True}).text)
    assert [name for name, _ in events] == ["message_start", "error"]
    assert events[-1][1]["error"]["code"] == "upstream_failed"


def test_the_endpoint_sees_at_once_that_the_client_left(engines, gateway):
    seen = threading.Event()

    def stream_for_ever(request: FakeRequest) -> None:
        request.start_stream()
        request.token("a")
        if request.wait_for_close():
            seen.set()

    _, url = gateway(engines(pages=CHAT_ONLY).then(stream_for_ever))
    with httpx.stream("POST", f"{url}/v1/messages", json={**MESSAGES, "stream": True}) as answer:
        next(answer.iter_lines())
    assert seen.wait(5)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (429, "rate_limit_error"), (500, "api_error"), (503, "overloaded_error")],
)
def test_errors_of_an_endpoint_have_the_apis_shape(engines, gateway, status, kind):
    told = {"error": {"message": "because", "type": "x", "param": "p", "code": "c"}}
    engine = engines(pages=CHAT_ONLY).then(lambda request: request.answer(status, told, {"Retry-After": "3"}))
    _, url = gateway(engine)
    answer = httpx.post(f"{url}/v1/messages", json=MESSAGES)
    assert answer.status_code == status
    assert answer.json() == {"type": "error", "error": {"type": kind, "message": "because", "param": "p", "code": "c"}}


def test_an_answer_that_is_none_is_an_error_of_the_endpoints(engines, gateway):
    engine = engines(pages=CHAT_ONLY).then(lambda request: request.answer(200, {"hello": 1}))
    _, url = gateway(engine)
    answer = httpx.post(f"{url}/v1/messages", json=MESSAGES)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "upstream_failed"
    assert "has no message" in answer.json()["error"]["message"]


def test_what_is_wrong_names_the_clients_field_and_reaches_no_endpoint(engines, gateway):
    engine = engines(pages=CHAT_ONLY)
    _, url = gateway(engine)
    for path, change, param in (
        ("/v1/messages", {"max_tokens": None}, "max_tokens"),
        ("/v1/messages", {"stop_sequences": ["a", 1]}, "stop_sequences[1]"),
        ("/v1/responses", {"text": {"format": {"type": "x"}}}, "text.format.type"),
        ("/v1/responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
    ):
        answer = httpx.post(f"{url}{path}", json={**BODIES[path], **change})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == param
        assert (answer.json().get("type") == "error") == (path == "/v1/messages")
    assert engine.requests == []


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("page", [CHAT_ONLY["/metrics"], VLLM.format(0)])
def test_a_split_request_is_two_chats(engines, start, runtime_folder, tmp_path, path, page):
    """Whether or not the engines speak the API: connectors are of chat completions."""
    moved = {"remote_host": "h", "remote_port": 1}

    def keep_blocks(request: FakeRequest) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": "h"}, "finish_reason": "length"}
        request.answer(200, {"choices": [choice], "kv_transfer_params": moved})

    prefill = engines(pages={"/metrics": page}).then(keep_blocks)
    decode = engines(pages={"/metrics": page}).then(
        events_in_pieces(delta(content="a"), delta(finish="stop"), size=11))
    (tmp_path / "config.yaml").write_text(PD_CONFIG)
    url = gateway_of_file(
        start, runtime_folder, tmp_path,
        {"p": (prefill, {"llm-d.ai/role": "prefill"}), "d": (decode, {"llm-d.ai/role": "decode"})},
        "--config", str(tmp_path / "config.yaml"),
    )  # fmt: skip
    answer = httpx.post(f"{url}{path}", json={**BODIES[path], "stream": True})
    assert answer.status_code == 200
    assert "event: message_stop" in answer.text or "event: response.completed" in answer.text
    (first,), (second,) = prefill.requests, decode.requests
    assert first.path == second.path == "/v1/chat/completions"
    assert first.body["kv_transfer_params"] == ASK_PREFILL and first.body["max_tokens"] == 1
    assert first.body["stream"] is False and "stream_options" not in first.body
    assert second.body["kv_transfer_params"] == moved and second.body["max_tokens"] == 9
    assert second.body["messages"] == first.body["messages"] == [{"role": "user", "content": "hi"}]


PD_CONFIG = """apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: prefill-filter
- type: decode-filter
- type: max-score-picker
- type: always-disagg-pd-decider
- type: disagg-profile-handler
  parameters: {deciders: {prefill: always-disagg-pd-decider}}
schedulingProfiles:
- name: prefill
  plugins: [{pluginRef: prefill-filter}, {pluginRef: max-score-picker}]
- name: decode
  plugins: [{pluginRef: decode-filter}, {pluginRef: max-score-picker}]
"""
