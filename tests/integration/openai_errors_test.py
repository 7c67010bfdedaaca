"""Every class of error of `llmd up`: its status, code, type and param, as the official client has it."""

import json
import os
import random
import re
import signal

import httpx
import openai
import pytest

from waiting import wait_for

MESSAGES = [{"role": "user", "content": "hi"}]


def error_of(answer: httpx.Response) -> dict:
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"] and error["type"] and error["code"]
    return error


BAD_FIELDS = [
    ("temperature", 3, "temperature"),
    ("temperature", "hot", "temperature"),
    ("top_p", 0, "top_p"),
    ("top_p", 1.5, "top_p"),
    ("top_k", -2, "top_k"),
    ("min_p", 2, "min_p"),
    ("typical_p", 0, "typical_p"),
    ("frequency_penalty", 3, "frequency_penalty"),
    ("presence_penalty", -3, "presence_penalty"),
    ("repetition_penalty", 0, "repetition_penalty"),
    ("max_tokens", 0, "max_tokens"),
    ("max_completion_tokens", -1, "max_completion_tokens"),
    ("n", 0, "n"),
    ("n", 1000, "n"),
    ("best_of", 2, "best_of"),
    ("seed", 1.5, "seed"),
    ("stop", ["x"] * 17, "stop"),
    ("stop", [1], "stop[0]"),
    ("stream", "yes", "stream"),
    ("stream_options", {"include_usage": True}, "stream_options"),
    ("logit_bias", {"abc": 1}, "logit_bias"),
    ("logit_bias", {"9999999": 1}, "logit_bias"),
    ("logit_bias", {"5": 101}, "logit_bias[5]"),
    ("logprobs", 1, "logprobs"),
    ("top_logprobs", 3, "top_logprobs"),
    ("response_format", {"type": "xml"}, "response_format.type"),
    ("tools", "none", "tools"),
    ("tool_choice", "required", "tool_choice"),
    ("messages", [], "messages"),
    ("messages", [{"role": "robot", "content": "x"}], "messages[0].role"),
    ("messages", [{"role": "user", "content": 5}], "messages[0].content"),
    ("messages", [{"role": "tool", "content": "sunny"}], "messages[0].tool_call_id"),
]


@pytest.mark.parametrize(
    ("field", "value", "param"), BAD_FIELDS, ids=[f"{f}-{i}" for i, (f, _, _) in enumerate(BAD_FIELDS)]
)
def test_a_bad_parameter_is_named(client, field, value, param):
    body = {"model": "smol", "messages": MESSAGES, field: value}
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/chat/completions", body=body, cast_to=httpx.Response)
    assert refused.value.status_code == 400
    assert refused.value.param == param
    assert refused.value.code == "invalid_request"
    assert refused.value.type == "invalid_request_error"


def test_fields_by_which_our_parts_steer_each_other_never_reach_the_worker(client):
    """It would refuse this one: see generation_fields_test.cpp."""
    answer = client.chat.completions.create(
        model="smol", messages=MESSAGES, max_tokens=1, extra_body={"kv_transfer_params": []}
    )
    assert answer.usage.completion_tokens == 1


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-9", messages=MESSAGES)
    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"


@pytest.mark.parametrize("kind", ["chat", "completions"])
def test_an_overlong_prompt_is_refused_at_once(client, kind):
    text = "many words " * 20_000
    with pytest.raises(openai.BadRequestError) as refused:
        if kind == "chat":
            client.chat.completions.create(model="smol", messages=[{"role": "user", "content": text}])
        else:
            client.completions.create(model="smol", prompt=text)
    assert refused.value.code == "context_length_exceeded"


UNSUPPORTED = [
    ("functions", [{"name": "f", "parameters": {"type": "object"}}], "functions", "tools"),
    ("function_call", "auto", "function_call", "tool_choice"),
    ("modalities", ["text", "audio"], "modalities", "text"),
    ("audio", {"voice": "alloy", "format": "wav"}, "audio", "text"),
    ("messages", [{"role": "function", "name": "f", "content": "1"}], "messages[0].role", "tool_call_id"),
    (
        "messages",
        [{"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}}],
        "messages[0].function_call",
        "tool_calls",
    ),
]


@pytest.mark.parametrize(
    ("field", "value", "param", "hint"), UNSUPPORTED, ids=[param for _, _, param, _ in UNSUPPORTED]
)
def test_what_is_understood_but_not_done_is_refused_with_a_way_out(client, field, value, param, hint):
    with pytest.raises(openai.BadRequestError) as refused:
        client.post(
            "/chat/completions", body={"model": "smol", "messages": MESSAGES, field: value}, cast_to=httpx.Response
        )
    assert refused.value.code == "unsupported"
    assert refused.value.param == param
    assert hint in refused.value.message


def test_text_is_a_modality(client):
    answer = client.chat.completions.create(model="smol", messages=MESSAGES, max_tokens=1, modalities=["text"])
    assert answer.usage.completion_tokens == 1


def test_an_image_is_refused(client):
    content = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="smol", messages=[{"role": "user", "content": content}])
    assert refused.value.code == "unsupported"
    assert refused.value.param == "messages[0].content[0].type"


@pytest.mark.parametrize(
    "options",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#/nowhere"}}}},
        {"guided_grammar": "root ::= ("},
        {"guided_grammar": "no root here"},
    ],
    ids=["type", "ref", "grammar", "rootless"],
)
def test_a_schema_or_grammar_that_does_not_compile_is_refused(client, options):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="smol", messages=MESSAGES, max_tokens=1, extra_body=options)
    assert refused.value.code == "invalid_grammar"


def test_a_token_id_beyond_the_vocabulary_is_refused(client, served_url):
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="smol", prompt=[1, 99_999_999])
    assert refused.value.param == "prompt"
    answer = httpx.post(f"{served_url}/detokenize", json={"tokens": [99_999_999]})
    assert answer.status_code == 400
    assert error_of(answer)["param"] == "tokens"


def test_paths_and_methods_that_are_not_there(served_url):
    missing = httpx.get(f"{served_url}/v2/models")
    assert (missing.status_code, error_of(missing)["code"]) == (404, "not_found")
    wrong = httpx.get(f"{served_url}/v1/chat/completions")
    assert (wrong.status_code, error_of(wrong)["code"]) == (405, "method_not_allowed")


def test_a_body_over_the_limit_is_refused(served_url):
    answer = httpx.post(
        f"{served_url}/v1/completions", content=b'{"prompt":"' + b"a" * (17 << 20) + b'"}', timeout=60
    )
    assert (answer.status_code, error_of(answer)["code"]) == (413, "body_too_large")


def test_request_ids_are_echoed_if_plain_and_made_if_not(served_url):
    given = httpx.get(f"{served_url}/v1/models", headers={"x-request-id": "abc-123"})
    assert given.headers["x-request-id"] == "abc-123"
    for bad in ("", "a b", "x" * 300):
        made = httpx.get(f"{served_url}/v1/models", headers={"x-request-id": bad}).headers["x-request-id"]
        assert made and made != bad
    error = httpx.post(f"{served_url}/v1/completions", content=b"{", headers={"x-request-id": "err-1"})
    assert error.headers["x-request-id"] == "err-1"


def broken_bodies() -> list[bytes]:
    """Hundreds of bodies that are not a good request, by a fixed seed: cut, flipped, nested and hand-made ones."""
    rng = random.Random(11)
    good = json.dumps(
        {
            "model": "smol",
            "messages": [{"role": "user", "content": "hi é"}],
            "stop": ["a"],
            "max_tokens": 1,
            "logit_bias": {"1": 2},
        }
    ).encode()
    bodies = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"1",
        b'"text"',
        b"{",
        b"{}",
        b"\x00" * 50,
        b"\xff\xfe{}",
        b'{"messages":' + b"[" * 5000,
        b'{"messages":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"messages":[{"role":"user","content":"a\x01b"}]}',
        b'{"max_tokens":1e400,"messages":[{"role":"user","content":"a"}]}',
        b'{"max_tokens":99999999999999999999,"messages":[{"role":"user","content":"a"}]}',
        b"POST / HTTP/1.1\r\n\r\n",
    ]
    bodies += [good[:cut] for cut in range(1, len(good))]
    for _ in range(200):
        flipped = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            flipped[rng.randrange(len(flipped))] = rng.randrange(256)
        bodies.append(bytes(flipped))
    return bodies


def test_hundreds_of_broken_bodies_each_get_a_clear_answer(served_url):
    statuses: dict[int, int] = {}
    with httpx.Client(timeout=30) as http:
        for body in broken_bodies():
            answer = http.post(f"{served_url}/v1/chat/completions", content=body)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            assert answer.status_code in (200, 400, 404), body
            if answer.status_code != 200:
                error_of(answer)
        assert http.get(f"{served_url}/health").status_code == 200
    assert statuses[400] > 250
    assert re.search(r"^llmd_gateway_requests_in_flight 0$", httpx.get(f"{served_url}/metrics").text, re.MULTILINE)


def test_each_class_of_the_clients_errors_has_its_code(up):
    """401, 429 and 503 need a server of their own: one with a key, room for one request, and a worker that dies."""
    one = up("--max-in-flight", "1", env={"LLMD_API_KEY": "secret"})
    stranger = one.client()
    with pytest.raises(openai.AuthenticationError) as refused:
        stranger.models.list()
    assert (refused.value.status_code, refused.value.code) == (401, "invalid_api_key")
    known = stranger.with_options(api_key="secret")
    assert known.models.list().data

    def ask(**options):
        return known.chat.completions.create(model="default", messages=MESSAGES, **options)

    with ask(max_tokens=2000, stream=True, extra_body={"ignore_eos": True}) as stream:
        next(iter(stream))
        with pytest.raises(openai.RateLimitError) as refused:
            ask(max_tokens=1)
    assert (refused.value.code, refused.value.type) == ("overloaded", "rate_limit_error")
    assert int(refused.value.response.headers["retry-after"]) >= 1

    wait_for(lambda: one.metric("llmd_gateway_requests_in_flight") == 0, "the left stream to end")
    (worker,) = one.workers()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(openai.InternalServerError) as refused:
        ask(max_tokens=1)
    assert refused.value.status_code == 503
    assert refused.value.code in ("no_endpoint", "upstream_failed")
    assert refused.value.type == "server_error"

    with pytest.raises(openai.APIConnectionError):
        known.with_options(base_url="http://127.0.0.1:1/v1").models.list()


def test_a_client_that_waits_no_longer_is_told_so_by_its_own_library(client):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.05).chat.completions.create(
            model="smol", messages=MESSAGES, max_tokens=2000, extra_body={"ignore_eos": True}
        )
