"""`llmd worker --engine sim`: the twin's engine on real sockets, seen by the official client."""

import json
import re
import subprocess
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
        page = httpx.get(f"{of}/metrics").text
        return set(re.findall(r"^# TYPE ((?:vllm:|llmd_worker_|llmd_kv_)\S+)", page, re.MULTILINE))

    ask(client_of(url), [{"role": "user", "content": "hello"}], max_tokens=2)
    httpx.get(f"{worker_url}/v1/models")
    assert not names(worker_url) - names(url)
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


def recorded(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for_lines(path, count: int) -> list[dict]:
    deadline = time.monotonic() + 10
    while len(recorded(path)) < count:
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.02)
    return recorded(path)


def test_a_gateway_records_what_it_served_and_the_twin_replays_it(endpoints, start, binary, tmp_path):
    _, urls = endpoints(3)
    log = tmp_path / "traffic.jsonl"
    gateway = start("gateway", "--listen", "127.0.0.1:0", "--endpoints", ",".join(urls), "--probe-interval", "100",
                    "--loops", "1", "--record", str(log))
    url = gateway.base_url()
    gateway.wait_ready(url)
    secret = "my secret question "
    headers = {"x-session-id": "Anna", "x-llm-d-inference-fairness-id": "team", "x-llm-d-slo-ttft-ms": "250"}
    with httpx.Client(timeout=30) as client:
        for i in range(40):
            messages = [{"role": "system", "content": secret * 100}, {"role": "user", "content": f"number {i % 4}"}]
            asked = {"messages": messages, "max_tokens": 20 + i, "stream": i % 3 == 0, "priority": 2}
            answer = client.post(f"{url}/v1/chat/completions", headers=headers if i % 2 else {}, json=asked)
            assert answer.status_code == 200
        assert client.post(f"{url}/v1/completions", json={"model": "none", "prompt": "x"}).status_code == 404
    rows = wait_for_lines(log, 41)
    text = log.read_text()
    assert "secret" not in text
    assert "Anna" not in text
    served = [row for row in rows if row["status"] == 200]
    assert len(served) == 40
    assert [row["output_length"] for row in served] == list(range(20, 60))
    assert {row["block_ids"][0] for row in served} == {served[0]["block_ids"][0]}
    assert len({row["session"] for row in served if "session" in row}) == 1
    assert sum("session" in row for row in served) == sum("fairness" in row for row in served) == 20
    assert all(row["slo_ttft_ms"] == 250 for row in served if "session" in row)
    assert all(0 < row["ttft_ms"] <= row["e2e_ms"] for row in served)
    assert {row["endpoint"] for row in served} <= set(urls)
    assert max(row["cached_tokens"] for row in served) > 400
    for row in served:
        assert len(row["block_ids"]) == row["input_length"] // row["block_tokens"]
        assert len(row["hash_ids"]) == -(-row["input_length"] // 512)
    assert 'llmd_gateway_recorded_requests_total{result="written"} 41' in httpx.get(f"{url}/metrics").text
    ran = subprocess.run([binary, "sim", "compare", "--trace", str(log), "--requests", "0", "--endpoints", "3",
                          "--policies", "random,llm-d-default", "--warm-up", "0", "--quiet",
                          "--json", str(tmp_path / "out.json")],
                         check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    policies = json.loads((tmp_path / "out.json").read_text())["policies"]
    assert [policy["failed"] for policy in policies] == [0, 0]
    assert policies[1]["hit_rate"] > 0.5

    # The same choices again: the twin sends each request where it went.
    def replay(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([binary, "sim", "compare", "--trace", str(log), "--requests", "0", "--policies",
                               "recorded", "--warm-up", "0", "--load", "0", "--quiet", *arguments],
                              check=False, capture_output=True, text=True, timeout=60)

    ran = replay("--endpoints", str(len(urls)), "--seeds", "2", "--json", str(tmp_path / "out.json"))
    assert ran.returncode == 0, ran.stderr
    (policy,) = json.loads((tmp_path / "out.json").read_text())["policies"]
    assert policy["name"] == "recorded" and policy["failed"] == 0
    assert policy["ttft_p90_ms_half_width"] == 0, "no seed has a say"
    used = len({row["endpoint"] for row in served})
    if used > 1:
        ran = replay("--endpoints", str(used - 1))
        assert ran.returncode == 1
        assert f"policy recorded needs the {used} endpoints that traffic names" in ran.stderr

    # Any reader of Mooncake's traces can take it, too.
    plain = tmp_path / "mooncake.jsonl"
    keys = ("timestamp", "input_length", "output_length", "hash_ids")
    ordered = sorted(served, key=lambda row: row["timestamp"])
    plain.write_text("".join(json.dumps({key: row[key] for key in keys}) + "\n" for row in ordered))
    ran = subprocess.run([binary, "sim", "compare", "--trace", str(plain), "--requests", "0", "--endpoints", "3",
                          "--policies", "random", "--warm-up", "0", "--quiet"],
                         check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_calibrate_finds_the_profile_that_the_worker_has(endpoints, binary, tmp_path):
    _, (url,) = endpoints(1, profile=PROFILE.replace("slots: 8, tokens_max: 4096", "slots: 16, tokens_max: 4096")
                          + "decode_sequence_per_kilotoken_s: 0\nprefill_token_per_kilotoken_s: 0\n")
    out = tmp_path / "fitted.yaml"
    ran = subprocess.run([binary, "sim", "calibrate", url, "--out", str(out), "--seconds", "8"], check=False,
                         capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "round 1:" in ran.stderr
    text = out.read_text()
    assert re.search(r"# How far the fit is .* prompts \d+\.\d %", text), text
    fitted = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and not line.startswith(("#", "-")))
    assert fitted["name"] == '"quick"'
    # A machine that does other things meanwhile makes the real worker slower, never quicker.
    assert 0.0018 < float(fitted["step_s"]) < 0.006
    assert 0.000008 < float(fitted["prefill_token_s"]) < 0.00005
    assert fitted["store_tokens"] == "65536"
    assert fitted["llama_steps"] == "false"
    assert "- {slots: 16, tokens_max: 4096}" in text
    ran = subprocess.run([binary, "sim", "compare", "--profile", str(out), "--endpoints", "2", "--requests", "200",
                          "--trace", "uniform", "--policies", "random", "--quiet"],
                         check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_calibrate_measures_what_busy_neighbours_do(endpoints, binary, tmp_path):
    """Simulated workers do not contend: what is found is what the machine and this process add."""
    _, urls = endpoints(3, profile=PROFILE.replace("step_s: 0.002", "step_s: 0.008"))
    out = tmp_path / "fitted.yaml"
    served = [metric(url, "vllm:generation_tokens_total") for url in urls]
    ran = subprocess.run([binary, "sim", "calibrate", urls[0], "--neighbour", urls[1], "--neighbour", urls[2],
                          "--out", str(out), "--seconds", "12"], check=False, capture_output=True, text=True,
                         timeout=90)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"beside 2 busy with decoding: \d\.\d+ times", ran.stderr), ran.stderr
    assert re.search(r"beside 2 busy with prompts: \d\.\d+ times", ran.stderr), ran.stderr
    text = out.read_text()
    assert re.search(r"^# Beside 2 busy on other cores all takes \d+\.\d+ times as long: \S+ to \S+ in \d+ passes\.$",
                     text, re.MULTILINE), text
    fitted = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and not line.startswith(("#", "-")))
    assert 0 <= float(fitted["neighbour_slowdown"]) < 0.2, text
    assert float(fitted["sharing_slowdown"]) == 0, "nobody was asked for"
    for url, before in zip(urls[1:], served[1:]):
        # Two streams, 125 tokens/s each in about half of 4 s.
        assert metric(url, "vllm:generation_tokens_total") - before > 150
    ran = subprocess.run([binary, "sim", "compare", "--profile", str(out), "--endpoints", "3", "--cores", "3",
                          "--requests", "200", "--trace", "uniform", "--policies", "random", "--quiet"],
                         check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_calibrate_finds_what_sharing_a_core_costs_beyond_turns(endpoints, binary, tmp_path):
    """Simulated workers take no turns by themselves: this one gets slower when the phase begins."""
    _, urls = endpoints(3, profile=PROFILE.replace("step_s: 0.002", "step_s: 0.004"))
    out = tmp_path / "fitted.yaml"
    arguments = [binary, "sim", "calibrate", urls[0], "--neighbour", urls[1], "--sharing", urls[2], "--out", str(out),
                 "--seconds", "18"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as calibrate:
        slowed = False
        for line in calibrate.stderr:
            if "beside 2 busy" in line and not slowed:
                assert httpx.post(f"{urls[0]}/sim/speed", json={"factor": 2.4}).status_code == 200
                slowed = True
        assert calibrate.wait(timeout=60) == 0
    text = out.read_text()
    assert "\n# Beside 1 busy on its core and 1 on others all takes " in text, text
    found = float(re.search(r"^sharing_slowdown: (\S+)$", text, re.MULTILINE).group(1))
    assert 0.05 < found < 0.45, f"2.4 is 1.2 times 2 turns\n{text}"


def test_calibrate_names_the_neighbour_that_went_away(endpoints, binary, tmp_path):
    """Beside an idle core nothing would have been measured."""
    _, (url,) = endpoints(1)
    neighbour, (beside,) = endpoints(1)
    out = tmp_path / "fitted.yaml"
    arguments = [binary, "sim", "calibrate", url, "--neighbour", beside, "--out", str(out), "--seconds", "24"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as calibrate:
        seen = []
        for line in calibrate.stderr:
            seen.append(line)
            if "beside 1 busy" in line and neighbour.process.poll() is None:
                neighbour.process.kill()
                neighbour.process.wait(timeout=10)
        assert calibrate.wait(timeout=60) == 1, seen
    assert beside.removeprefix("http://") in seen[-1] and "llmd sim: " in seen[-1], seen
    assert not out.exists()


def test_calibrate_says_why_it_cannot(endpoints, binary, tmp_path):
    out = tmp_path / "kept.yaml"
    out.write_text("name: kept\n")

    def refused(*arguments: str) -> str:
        ran = subprocess.run([binary, "sim", "calibrate", *arguments, "--out", str(out), "--seconds", "5", "--quiet"],
                             check=False, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 1, ran.stderr
        assert out.read_text() == "name: kept\n", "what was there stays"
        return ran.stderr

    assert "connection_refused" in refused("127.0.0.1:1")
    fresh = tmp_path / "fresh.yaml"
    ran = subprocess.run([binary, "sim", "calibrate", "127.0.0.1:1", "--out", str(fresh)], check=False,
                         capture_output=True, timeout=60)
    assert ran.returncode == 1
    assert not fresh.exists(), "no empty file is left behind"
    _, (url,) = endpoints(1)
    assert "connection_refused" in refused(url, "--neighbour", "127.0.0.1:1")
    assert "is named twice" in refused(url, "--neighbour", url)
    assert "at most 64" in refused(url, *(word for port in range(2, 66) for word in ("--sharing", f"127.0.0.1:{port}")))
    assert "404" in refused(url, "--model", "other") or "no model" in refused(url, "--model", "other")
    assert httpx.post(f"{url}/sim/speed", json={"factor": 1000}).status_code == 200
    assert "give more --seconds" in refused(url)
