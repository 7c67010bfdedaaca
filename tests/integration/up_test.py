"""`llmd up` with the real model: start, faults of each process, stop, and nothing left behind."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx

from up_process import LONG, WORKER_MEMORY, children_of, is_gone
from waiting import wait_for


def test_the_printed_curl_line_answers_with_text(up):
    one = up()
    curl = re.search(r"^ +(curl .*)$", one.process.log, re.MULTILINE).group(1)
    assert one.url in curl
    ran = subprocess.run(shlex.split(curl), capture_output=True, text=True, timeout=60)
    answer = json.loads(ran.stdout)
    assert len(answer["choices"][0]["message"]["content"].split()) > 5
    assert answer["model"] == one.client().models.list().data[0].id


def test_streams_through_the_gateway_and_counts_under_the_workers_name(up):
    one = up("--topology", "unified:2")
    assert len(one.workers()) == 2
    chunks = list(
        one.client().chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": "Say hi"}],
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].usage.completion_tokens <= 8
    page = httpx.get(f"{one.url}/metrics").text
    for name in ("worker-0", "worker-1"):
        assert re.search(rf'^vllm:num_requests_running{{worker="{name}"', page, re.MULTILINE), name
    assert re.search(r"^llmd_gateway_requests_in_flight 0$", page, re.MULTILINE)
    assert re.search(r"^llmd_kv_transfer_bytes_total\b", page, re.MULTILINE)
    assert len(re.findall(r"^# TYPE vllm:num_requests_running ", page, re.MULTILINE)) == 1


def test_prefill_and_decode_workers_answer_as_one_and_say_what_was_moved(up, binary):
    """The same prompt to both topologies: equal text; whole blocks go over, and `explain` and the metric say so."""
    prompt = "The river runs through the old town and past the mill where people met. " * 20
    body = {"prompt": prompt, "max_tokens": 12, "temperature": 0}
    unified = up()
    alone = httpx.post(f"{unified.url}/v1/completions", json=body, timeout=60).json()["choices"][0]["text"]
    split = up("--topology", "prefill:1,decode:1")
    answer = httpx.post(f"{split.url}/v1/completions", json=body, headers={"x-request-id": "moved"}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["text"] == alone
    usage = answer.json()["usage"]
    blocks = usage["prompt_tokens"] // 32
    assert usage["prompt_tokens_details"]["cached_tokens"] == blocks * 32

    (admin,) = split.runtime.glob("llmd-*/*/admin.sock")
    told = subprocess.run(
        [binary, "explain", "moved", "--admin", f"unix:{admin}"], capture_output=True, text=True, timeout=30
    )
    assert told.returncode == 0, told.stderr
    assert re.search(rf"prefill by worker-0: {blocks} blocks, [1-9]\d* bytes moved, 0 tokens recomputed", told.stdout)
    page = httpx.get(f"{split.url}/metrics", timeout=10).text
    sums = {}
    for name, value in re.findall(r"^(llmd_kv_\w+)(?:{.*})? (\S+)$", page, re.MULTILINE):
        sums[name] = sums.get(name, 0) + float(value)
    moved = int(re.search(r"blocks, (\d+) bytes moved", told.stdout).group(1))
    assert moved == sums["llmd_kv_transfer_bytes_total"] == sums["llmd_kv_received_bytes_total"]
    assert moved == sums["llmd_kv_sent_bytes_total"]
    assert blocks == sums["llmd_kv_received_blocks_total"] == sums["llmd_kv_sent_blocks_total"]
    assert sums["llmd_kv_recomputed_tokens_total"] == 0


def test_a_worker_killed_in_mid_stream_ends_the_stream_with_an_error_event_and_is_replaced(up):
    one = up()
    (worker,) = one.workers()
    lines: list[str] = []
    with httpx.stream("POST", f"{one.url}/v1/completions", json={**LONG, "stream": True}, timeout=30) as answer:
        for line in answer.iter_lines():
            lines.append(line)
            if len(lines) == 4:
                os.kill(worker, signal.SIGKILL)
                killed_at = time.monotonic()
    assert time.monotonic() - killed_at < 5
    events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert json.loads(events[-1])["error"]["code"] == "upstream_failed"
    assert "[DONE]" not in events
    wait_for(one.serves, "a service that is back", killed_at + 5 - time.monotonic())
    assert re.search(r"^llmd_up_worker_restarts_total 1$", httpx.get(f"{one.url}/metrics").text, re.MULTILINE)


def test_a_worker_killed_before_the_first_token_is_retried_on_another(up):
    one = up("--topology", "unified:2")
    prompt = "one two three four five six seven eight nine ten " * 200  # seconds of prefill
    answers: list[httpx.Response] = []
    ask = threading.Thread(
        target=lambda: answers.append(
            httpx.post(
                f"{one.url}/v1/completions",
                json={"prompt": prompt, "max_tokens": 2},
                timeout=60,
                headers={"x-request-id": "r1"},
            )
        )
    )
    ask.start()
    busy = lambda: [endpoint["name"] for endpoint in one.endpoints() if endpoint["inflight_requests"]]
    wait_for(lambda: bool(busy()), "a worker with the request")
    (name,) = busy()
    pid = int(re.search(rf"{name} is ready: .* process (\d+)", one.process.log).group(1))
    os.kill(pid, signal.SIGKILL)
    ask.join(60)
    assert answers[0].status_code == 200, answers[0].text
    (path,) = one.runtime.glob("llmd-*/*/admin.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://admin") as admin:
        record = admin.get("/explanations/r1").json()
    assert record["outcome"]["retries"] == 1 and record["outcome"]["endpoint"] != name


def test_without_another_worker_a_killed_one_is_a_503_within_5_seconds(up):
    one = up()
    (worker,) = one.workers()
    prompt = "one two three four five six seven eight nine ten " * 200
    answers: list[httpx.Response] = []
    ask = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{one.url}/v1/completions", json={"prompt": prompt}, timeout=60))
    )
    ask.start()
    wait_for(lambda: one.endpoints()[0]["inflight_requests"] == 1, "the request at the worker")
    os.kill(worker, signal.SIGKILL)
    ask.join(5)
    assert not ask.is_alive()
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (503, "upstream_failed")
    wait_for(one.serves, "a service that is back", 5)


def test_nothing_is_left_behind_when_up_itself_is_killed(up):
    one = up("--topology", "unified:2")
    processes = [one.process.process.pid, *children_of(one.process.process.pid)]
    assert set(one.workers()) <= set(processes)
    one.process.process.kill()
    one.process.process.wait()
    wait_for(lambda: all(is_gone(pid) for pid in processes), "the end of every process", 5)
    wait_for(lambda: list(one.runtime.iterdir()) == [], "an empty runtime folder", 5)


def test_ctrl_c_stops_all_of_it_and_exits_0(up):
    one = up()
    processes = children_of(one.process.process.pid)
    one.process.process.send_signal(signal.SIGINT)
    assert one.process.wait() == 0
    assert all(is_gone(pid) for pid in processes)
    assert list(one.runtime.iterdir()) == []


def test_what_keeps_it_from_starting_is_said_in_one_line(start, model_path, tmp_path, up):
    one = up()
    port = one.url.rsplit(":", 1)[1]
    taken = start("up", "--model", str(model_path), "--listen", f"127.0.0.1:{port}")
    assert taken.wait() == 1 and "address_in_use" in taken.log and port in taken.log
    missing = start("up", env={"XDG_CACHE_HOME": str(tmp_path)})
    assert missing.wait() == 1 and "tools/fetch_model.sh" in missing.log
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"this is no model")
    no_model = start("up", "--model", str(wrong), "--listen", "127.0.0.1:0")
    assert no_model.wait() == 1 and "file_invalid" in no_model.log and "cannot start" in no_model.log
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model_path.read_bytes()[:5_000_000])
    truncated = start("up", "--model", str(cut), "--listen", "127.0.0.1:0")
    assert truncated.wait() == 1 and "file_invalid" in truncated.log
    topology = start("up", "--model", str(model_path), "--topology", "router:1")
    assert topology.wait() == 2 and "roles are unified, prefill and decode" in topology.log


def command_lines(one) -> list[list[str]]:
    """Of the workers."""
    children = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children_of(one.process.process.pid)]
    return [words for words in (line.decode().split("\0") for line in children) if "worker" in words[1:2]]


def value_of(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def test_several_workers_are_given_their_shares_of_the_memory(up):
    """Each alone would plan with all that is free."""
    free = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text()).group(1)) * 1024
    one = up("--topology", "unified:3", memory=())
    lines = command_lines(one)
    assert len(lines) == 3
    kv, store = (int(value_of(lines[0], flag)) for flag in ("--kv-memory", "--store-memory"))
    assert 0 < kv and 3 * (kv + store) < free
    assert [value_of(words, "--kv-memory") for words in lines] == [str(kv)] * 3
    wait_for(one.serves, "an answer")


def test_workers_that_do_not_fit_together_are_refused_with_the_numbers(start, model_path, runtime_folder):
    half = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text()).group(1)) * 6 // 10 // 1024
    one = start(
        "up", "--model", str(model_path), "--listen", "127.0.0.1:0", "--topology", "unified:2",
        "--store-memory", f"{half}MiB", env={"XDG_RUNTIME_DIR": str(runtime_folder)},
    )
    assert one.wait() == 1
    assert re.search(r"2 workers need \d+ MiB \(weights .*\), but only \d+ MiB are available", one.log), one.log
    assert "lower --store-memory to" in one.log
    assert list(runtime_folder.iterdir()) == []


def test_flags_of_workers_are_handed_on_and_every_served_name_answers(up):
    one = up("--served-model-name", "first", "second", "--drain-timeout", "9", "--step-tokens", "64", "--kv-lease", "7")
    (words,) = command_lines(one)
    for flag, value in (("--drain-timeout", "9"), ("--step-tokens", "64"), ("--kv-lease", "7")):
        assert value_of(words, flag) == value
    assert [card.id for card in one.client().models.list()] == ["first", "second"]
    for name in ("first", "second", "default"):
        answer = one.client().completions.create(model=name, prompt="Hi", max_tokens=2)
        assert answer.usage.completion_tokens <= 2
    lost = httpx.post(f"{one.url}/v1/completions", json={"model": "third", "prompt": "Hi"}, timeout=30)
    assert (lost.status_code, lost.json()["error"]["code"]) == (404, "model_not_found")


def test_a_chat_template_of_its_own_holds_for_the_gateways_tokens_too(up, tmp_path):
    template = tmp_path / "t.jinja"
    template.write_text("{% for message in messages %}<{{ message['content'] }}>{% endfor %}")
    one = up("--chat-template", str(template))
    wait_for(lambda: one.metric("llmd_gateway_tokenizer_loaded") == 1, "the gateway's vocabulary")
    messages = [{"role": "user", "content": "Hello there"}]
    told = httpx.post(f"{one.url}/tokenize", json={"messages": messages}, timeout=30).json()
    used = one.client().chat.completions.create(model="default", messages=messages, max_tokens=1).usage
    assert told["count"] == used.prompt_tokens < 8
    assert one.counter('llmd_worker_prompts_total{worker="worker-0",tokenised_by="gateway"') == 1


def test_a_terminal_sees_how_far_loading_is_and_a_log_does_not(binary, model_path, runtime_folder):
    master, slave = pty.openpty()
    arguments = ["--model", str(model_path), "--listen", "127.0.0.1:0", *WORKER_MEMORY]
    one = subprocess.Popen(
        [binary, "up", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime_folder)},
    )
    os.close(slave)
    seen = ""
    try:
        while "ready; try it" not in seen:
            seen += os.read(master, 65536).decode()
    finally:
        one.terminate()
        assert one.wait(20) == 0
        os.close(master)
    assert re.search(r"\r\x1b\[Kloading \S+( \d+ %)?, \d s\r", seen), seen
    assert "\x1b" not in seen.split("ready; try it")[1]


def test_with_a_key_the_printed_line_sends_it_and_workers_need_none(up):
    one = up(env={"LLMD_API_KEY": "secret"})
    curl = re.search(r"^ +(curl .*)$", one.process.log, re.MULTILINE).group(1)
    assert "Bearer $LLMD_API_KEY" in curl and "secret" not in one.process.log
    ran = subprocess.run(
        ["/bin/sh", "-c", curl],
        env={**os.environ, "LLMD_API_KEY": "secret"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(ran.stdout)["choices"]
    assert httpx.get(f"{one.url}/v1/models").status_code == 401


def test_chat_talks_in_the_terminal(up, binary):
    one = up()
    ran = subprocess.run(
        [binary, "chat", "--url", one.url, "--max-tokens", "8", "--temperature", "0"],
        input="Hello\nAnd again\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.strip().splitlines()) >= 2
    lost = subprocess.run(
        [binary, "chat", "--url", "http://127.0.0.1:1"], input="Hi\n", capture_output=True, text=True, timeout=60
    )
    assert lost.returncode == 1 and "connection_refused" in lost.stderr


def test_doctor_sees_a_taken_port_and_a_good_model(up, binary, model_path):
    one = up()
    ran = subprocess.run(
        [binary, "doctor", "--listen", one.url.removeprefix("http://"), "--model", str(model_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 1
    assert re.search(r"^BAD +port .*address_in_use", ran.stdout, re.MULTILINE)
    assert re.search(r"^ok +model ", ran.stdout, re.MULTILINE)
