"""`llmd up` tokenises in the gateway: answers are those of a worker alone, and decisions rest on true tokens."""

import httpx
import pytest

from up_process import Up
from waiting import wait_for

BLOCK_TOKENS = 32
STORY = "The river runs through the old town and past the mill, where people met in 1834. " * 12
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": NUMBER}}


def asked(text: str, **fields) -> dict:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 12, "temperature": 0, **fields}


CHATS = {
    "plain": asked("Name three rivers."),
    "a conversation": {
        "messages": [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": "日本語 😀 naïve \"quoted\"\n\ttab"},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": [{"type": "text", "text": "Go on"}, {"type": "text", "text": " please"}]},
        ],
        "max_tokens": 12,
        "temperature": 0,
    },
    "text of special tokens": asked("What is <|im_end|> and <|im_start|>system?"),
    "longer than is done on the loop": asked(STORY * 5),
    "tools": asked("What is the weather in Oslo?", tools=[TOOL], max_tokens=40),
    "a forced tool": asked("What is the weather in Oslo?", tools=[TOOL], tool_choice="required", max_tokens=40),
    "a named tool": asked(
        "Oslo?", tools=[TOOL], tool_choice={"type": "function", "function": {"name": "weather"}}, max_tokens=40
    ),
    "no tool": asked("Oslo?", tools=[TOOL], tool_choice="none"),
    "a schema": asked("Give me a number.", response_format=SCHEMA, max_tokens=40),
    "a grammar": asked("Yes or no?", guided_grammar='root ::= "yes" | "no"'),
    "stop strings": asked("Count from one to ten.", stop=[","], max_tokens=30),
    "logprobs": asked("Say hi", logprobs=True, top_logprobs=2),
    "a continued message": {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, I am"}],
        "continue_final_message": True,
        "add_generation_prompt": False,
        "max_tokens": 12,
        "temperature": 0,
    },
    "two choices": asked("Say hi", n=2, seed=7, temperature=1),
}
COMPLETIONS = {
    "text": {"prompt": STORY, "max_tokens": 12, "temperature": 0},
    "several": {"prompt": ["One day", "Once upon a time", STORY], "max_tokens": 6, "temperature": 0},
    "ids": {"prompt": list(range(100, 180)), "max_tokens": 6, "temperature": 0},
    "several lists of ids": {"prompt": [[100, 101], [102]], "max_tokens": 6, "temperature": 0},
    "echo": {"prompt": "One day", "echo": True, "max_tokens": 4, "temperature": 0},
    "echo with logprobs": {"prompt": "One <|im_end|> day", "echo": True, "logprobs": 2, "max_tokens": 0},
    "a schema": {"prompt": "A number:", "guided_json": {"type": "integer"}, "max_tokens": 6, "temperature": 0},
}
REFUSED = {
    "too long for the context": {"prompt": "word " * 9000},
    "output beyond the context": {"prompt": "Hi", "max_tokens": 9000},
    "hopelessly long": {"prompt": "a" * 900_000},
    "a suffix": {"prompt": "a", "suffix": "b"},
    "no prompt": {"max_tokens": 1},
    "an empty prompt": {"prompt": ""},
    "a token that is none": {"prompt": [1, 99999999]},
    "a bias for no token": {"prompt": "a", "logit_bias": {"99999999": 1}},
    "a wrong grammar and too long": {"prompt": "word " * 9000, "guided_grammar": "root ::= ("},
}


def ready(up: Up) -> Up:
    wait_for(lambda: up.counter("llmd_gateway_tokenizer_loaded") == 1, "the vocabulary")
    return up


def post(url: str, path: str, body: dict, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}{path}", json=body, headers=headers, timeout=90)


def what_was_said(answer: httpx.Response) -> dict:
    """All that does not differ from one request to the next."""
    assert answer.status_code == 200, answer.text
    said = answer.json()
    for name in ("id", "created", "model"):
        said.pop(name)
    said["usage"].pop("prompt_tokens_details")
    for choice in said["choices"]:
        for call in choice.get("message", {}).get("tool_calls") or []:
            call.pop("id")
    return said


@pytest.mark.timeout(300)  # 63 answers: 76 s on two idle cores without AVX-512
def test_answers_are_those_of_a_worker_alone(up, worker_url):
    here = ready(up())
    workers = up("--tokenize", "worker")
    requests = [("/v1/chat/completions", name, body) for name, body in CHATS.items()]
    requests += [("/v1/completions", name, body) for name, body in COMPLETIONS.items()]
    for path, name, body in requests:
        alone = what_was_said(post(worker_url, path, body))
        assert what_was_said(post(here.url, path, body)) == alone, name
        assert what_was_said(post(workers.url, path, body)) == alone, name
    lists_of_ids = 2
    assert here.counter('llmd_gateway_prompts_total{counted_by="tokenizer"}') == len(requests)
    assert here.counter('llmd_worker_prompts_total{worker="worker-0",tokenised_by="worker"}') == 0
    texts = len(requests) - lists_of_ids + len(COMPLETIONS["several"]["prompt"]) - 1
    assert here.counter('llmd_worker_prompts_total{worker="worker-0",tokenised_by="gateway"}') == texts
    assert workers.counter('llmd_worker_prompts_total{worker="worker-0",tokenised_by="worker"}') == texts


def test_refusals_are_the_workers_and_too_long_ones_never_reach_it(up, worker_url):
    one = ready(up())
    for name, body in REFUSED.items():
        alone = post(worker_url, "/v1/completions", body)
        through = post(one.url, "/v1/completions", body)
        assert (through.status_code, through.json()) == (alone.status_code, alone.json()), name
    before = one.counter('llmd_gateway_decisions_total{outcome="dispatch"}')
    answer = post(one.url, "/v1/chat/completions", asked("word " * 9000), **{"x-request-id": "long"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert one.counter('llmd_gateway_decisions_total{outcome="dispatch"}') == before
    assert one.admin("/explanations/long").json()["refusal"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("topology", ["unified:2", "prefill:1,decode:1"])
def test_explanations_have_true_tokens_and_the_cached_ones_of_the_worker(up, topology):
    one = ready(up("--topology", topology))
    bodies = {
        "chat": ("/v1/chat/completions", asked(STORY)),
        "text": ("/v1/completions", {"prompt": STORY * 2, "max_tokens": 2, "temperature": 0}),
        "whole blocks": ("/v1/completions", {"prompt": list(range(500, 500 + 4 * BLOCK_TOKENS)), "max_tokens": 2}),
        "salted": ("/v1/chat/completions", asked(STORY, cache_salt="mine")),
        "short": ("/v1/chat/completions", asked("Hi")),
    }
    for name, (path, body) in bodies.items():
        for turn in ("first", "again"):
            usage = post(one.url, path, body, **{"x-request-id": f"{name} {turn}".replace(" ", "-")}).json()["usage"]
            record = one.admin(f"/explanations/{name.replace(' ', '-')}-{turn}").json()
            assert record["prompt_tokens_exact"], name
            assert record["prompt_tokens"] == usage["prompt_tokens"], name
            assert record["block_tokens"] == BLOCK_TOKENS
            if turn == "first":
                assert record["cached_tokens_expected"] == 0, name
                continue
            cached = usage["prompt_tokens_details"]["cached_tokens"]
            assert cached == (usage["prompt_tokens"] - 1) // BLOCK_TOKENS * BLOCK_TOKENS, name
            assert record["cached_tokens_expected"] == cached, name


def test_a_client_cannot_name_tokens(up, worker_url, start, model_path, tmp_path):
    """Neither through the gateway, which removes the field, nor at a worker, which checks what it gets."""
    one = ready(up("--tokenize", "gateway"))
    forwarding = up("--tokenize", "worker")
    socket = f"/tmp/{tmp_path.name[-20:]}.sock"
    worker = start("worker", "--model", str(model_path), "--listen", f"unix:{socket}", "--store-memory", "64MiB")
    worker.wait_for_log("ready: model")
    plain = what_was_said(post(worker_url, "/v1/chat/completions", asked("Name a river.")))
    for tokens in ("AAAAAAAAAAABAAAABQAAAA==", "nonsense", 7, None, {"a": [1]}):
        body = asked("Name a river.", llmd_prompt_tokens=tokens)
        for url in (one.url, forwarding.url, worker_url):
            assert what_was_said(post(url, "/v1/chat/completions", body)) == plain, (url, tokens)
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://worker", timeout=60) as client:
            assert what_was_said(client.post("/v1/chat/completions", json=body)) == plain, tokens
    assert forwarding.counter('llmd_worker_prompts_total{worker="worker-0",tokenised_by="gateway"}') == 0


def test_tokenize_is_answered_by_the_gateway_as_by_a_worker(up, worker_url):
    one = ready(up())
    calls = [
        ("/tokenize", {"prompt": STORY, "return_token_strs": True}),
        ("/tokenize", {"prompt": "a", "add_special_tokens": False}),
        ("/tokenize", {"messages": [{"role": "user", "content": "Hi"}], "tools": [TOOL]}),
        ("/tokenize", {"messages": []}),
        ("/detokenize", {"tokens": [28120, 665]}),
        ("/detokenize", {"tokens": [99999999]}),
    ]
    for path, body in calls:
        alone, through = post(worker_url, path, body), post(one.url, path, body)
        assert (through.status_code, through.json()) == (alone.status_code, alone.json()), (path, body)
    assert one.counter("llmd_gateway_decisions_total") == 0
    unknown = post(one.url, "/tokenize", {"model": "other", "prompt": "a"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
