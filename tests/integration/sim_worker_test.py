"""`llmd worker --engine sim`: the twin's engine on real sockets, seen by the official client."""

import re
import threading
import time

import httpx
import openai
import pytest

PROFILE = """
name: quick
step_s: 0.002
prefill_token_s: 0.00001
decode_sequence_s: 0.00001
submit_s: 0.0001
stream_s: 0
store_tokens: 65536
slots:
  - {slots: 8, tokens_max: 4096}
"""


@pytest.fixture
def endpoints(start, tmp_path):
    """Starts a process with so many endpoints and returns it with their URLs."""

    def make(count: int, *arguments: str, profile: str = PROFILE):
        path = tmp_path / "quick.yaml"
        path.write_text(profile)
        process = start("worker", "--engine", "sim", "--profile", str(path), "--listen", "127.0.0.1:0",
                        "--sim-endpoints", str(count), *arguments)
        process.wait_for_log(r"ready: model quick")
        addresses = re.findall(r"listening on ([0-9.]+:\d+), simulated", process.log)
        assert len(set(addresses)) == count, process.log
        return process, [f"http://{address}" for address in addresses]

    return make


def client_of(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=30)


def metric(url: str, name: str) -> float:
    page = httpx.get(f"{url}/metrics", timeout=5).text
    found = re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.e+-]+)$", page, re.MULTILINE)
    assert found, f"no {name} in\n{page}"
    return float(found.group(1))


def ask(client: openai.OpenAI, messages, **options):
    return client.chat.completions.create(model="quick", messages=messages, **options)


def test_chats_stream_and_the_next_turn_finds_the_answer_in_the_cache(endpoints):
    _, (url,) = endpoints(1)
    client = client_of(url)
    messages = [{"role": "user", "content": "tell me something " * 50}]
    chunks = list(ask(client, messages, max_tokens=200, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.completion_tokens == 200
    assert len(text) == 800
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert ask(client, messages, max_tokens=200).choices[0].message.content == text, "the same request, the same answer"
    messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "go on"}]
    usage = ask(client, messages, max_tokens=4).usage
    assert usage.prompt_tokens_details.cached_tokens > 900 / 4 + 150, usage
    assert metric(url, "vllm:prefix_cache_hits_total") >= usage.prompt_tokens_details.cached_tokens


def test_stop_strings_seeds_and_choices(endpoints):
    _, (url,) = endpoints(1)
    client = client_of(url)
    messages = [{"role": "user", "content": "hello"}]
    whole = ask(client, messages, max_tokens=50).choices[0]
    third = whole.message.content.split()[2]
    stopped = ask(client, messages, max_tokens=50, stop=[f" {third}"]).choices[0]
    assert stopped.finish_reason == "stop"
    assert whole.message.content.startswith(stopped.message.content)
    assert f" {third}" not in stopped.message.content
    assert ask(client, messages).usage.completion_tokens == 128
    two = ask(client, messages, max_tokens=5, n=2, seed=3)
    assert len(two.choices) == 2
    assert two.choices[0].message.content != two.choices[1].message.content
    assert two.usage.completion_tokens == 10
    assert client.completions.create(model="quick", prompt="x", max_tokens=3).usage.completion_tokens == 3


def test_what_has_no_meaning_is_refused(endpoints):
    _, (url,) = endpoints(1)
    client = client_of(url)
    messages = [{"role": "user", "content": "hello"}]
    for options in (
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, messages, max_tokens=5, **options)
        assert refused.value.body["code"] == "unsupported", options
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="quick", input="x")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="other", messages=messages)
    with pytest.raises(openai.BadRequestError) as long:
        ask(client, messages, max_tokens=5000)
    assert long.value.body["code"] == "context_length_exceeded"


def test_tokens_are_four_bytes_and_come_back_as_text(endpoints):
    _, (url,) = endpoints(1)
    answer = httpx.post(f"{url}/tokenize", json={"prompt": "abcdefgh é"}).json()
    assert answer["count"] == 4
    assert httpx.post(f"{url}/detokenize", json={"tokens": answer["tokens"]}).json()["prompt"] == "abcdefgh é"
    assert httpx.post(f"{url}/detokenize", json={"tokens": [2147483647]}).status_code == 400


def test_endpoints_of_one_process_share_nothing(endpoints):
    process, urls = endpoints(5)
    client = client_of(urls[1])
    ask(client, [{"role": "user", "content": "hello"}], max_tokens=7)
    assert [metric(url, "vllm:generation_tokens_total") for url in urls] == [0, 7, 0, 0, 0]
    for url in urls:
        assert [model["id"] for model in httpx.get(f"{url}/v1/models").json()["data"]] == ["quick"]
        assert httpx.get(f"{url}/ready").status_code == 200
    assert httpx.post(f"{urls[2]}/sim/speed", json={"factor": 20}).json() == {"factor": 20}
    for wrong in ({}, {"factor": 0}, {"factor": "3"}, {"factor": 3, "more": 1}, []):
        assert httpx.post(f"{urls[2]}/sim/speed", json=wrong).status_code == 400, wrong

    def seconds(url: str) -> float:
        began = time.monotonic()
        ask(client_of(url), [{"role": "user", "content": "hello"}], max_tokens=20)
        return time.monotonic() - began

    assert seconds(urls[2]) > 0.75, "20 steps of 2 ms, 20 times slower"
    assert seconds(urls[3]) < 0.5
    assert process.terminate() == 0


def test_the_metrics_are_those_of_a_worker(endpoints, worker_url):
    _, (url,) = endpoints(1)

    def names(of: str) -> set[str]:
        return set(re.findall(r"^# TYPE ((?:vllm:|llmd_worker_)\S+)", httpx.get(f"{of}/metrics").text, re.MULTILINE))

    ask(client_of(url), [{"role": "user", "content": "hello"}], max_tokens=2)
    httpx.get(f"{worker_url}/v1/models")
    missing = {name for name in names(worker_url) - names(url) if not name.startswith("llmd_worker_kv_")}
    assert not missing
    info = re.search(r"^vllm:cache_config_info{([^}]*)} 1$", httpx.get(f"{url}/metrics").text, re.MULTILINE).group(1)
    assert 'block_size="64"' in info
    assert 'num_gpu_blocks="512"' in info


def test_a_client_that_leaves_frees_its_slot(endpoints):
    _, (url,) = endpoints(1)
    asked = {"prompt": "x", "max_tokens": 4000, "stream": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=asked) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert metric(url, "vllm:num_requests_running") == 1
    deadline = time.monotonic() + 5
    while metric(url, "vllm:num_requests_running") > 0:
        assert time.monotonic() < deadline
    assert metric(url, "vllm:generation_tokens_total") < 4000


def test_a_full_engine_queues_and_then_refuses(endpoints):
    _, (url,) = endpoints(1, profile=PROFILE.replace("slots: 8", "slots: 1") + "waiting_max: 2\n")
    results = []

    def run() -> None:
        answer = httpx.post(f"{url}/v1/completions", json={"prompt": "x", "max_tokens": 300}, timeout=30)
        results.append(answer.status_code)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(results)) == [200, 429], results


def test_a_drain_lets_answers_finish(endpoints):
    process, (url,) = endpoints(1)
    with httpx.stream("POST", f"{url}/v1/completions",
                      json={"prompt": "x", "max_tokens": 150, "stream": True}, timeout=30) as answer:
        lines = answer.iter_lines()
        next(lines)
        process.process.terminate()
        rest = list(lines)
    assert "data: [DONE]" in rest
    assert process.wait() == 0
    slow, (url,) = endpoints(1, "--drain-timeout", "0")
    with httpx.stream("POST", f"{url}/v1/completions",
                      json={"prompt": "x", "max_tokens": 4000, "stream": True}, timeout=30) as answer:
        lines = answer.iter_lines()
        next(lines)
        slow.process.terminate()
        rest = list(lines)
    assert "data: [DONE]" not in rest
    assert any("shutting_down" in line for line in rest)
    assert slow.wait() == 0
