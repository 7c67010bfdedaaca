"""`llmd up --models`: two models on this machine, the real one under two names."""

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import httpx
import openai
import pytest

from up_process import WORKER_MEMORY
from waiting import wait_for

QUESTION = [{"role": "user", "content": "Say hi"}]


@pytest.fixture
def two_models(start, model_path, tmp_path):
    runtime = Path(tempfile.mkdtemp(prefix="llmd-it-", dir="/tmp"))
    (tmp_path / "models.yaml").write_text(
        f"models:\n- {{name: small, model: {model_path}}}\n- {{name: other, model: {model_path}, workers: 2}}\n"
    )
    process = start(
        "up", "--models", str(tmp_path / "models.yaml"), "--listen", "127.0.0.1:0", *WORKER_MEMORY,
        env={"XDG_RUNTIME_DIR": str(runtime)},
    )
    url = process.base_url()
    process.wait_for_log("ready; try it")
    yield process, url, runtime
    process.close()
    shutil.rmtree(runtime)


def test_each_model_has_workers_and_a_pool_of_its_own(two_models):
    process, url, runtime = two_models
    ready = re.findall(r"(worker-\d) is ready: (\w+), unified", process.log)
    assert sorted(ready) == [("worker-0", "small"), ("worker-1", "other"), ("worker-2", "other")]
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=60)
    assert [model.id for model in client.models.list()] == ["small", "other"]
    answers = {}
    for asked, served in (("small", "small"), ("other", "other"), ("default", "small")):
        answer = client.chat.completions.create(model=asked, messages=QUESTION, max_tokens=8, temperature=0)
        assert answer.model == served
        answers[asked] = answer.choices[0].message.content
    assert len(set(answers.values())) == 1, "it is one model, with the same bits"
    with pytest.raises(openai.NotFoundError, match="small"):
        client.chat.completions.create(model="third", messages=QUESTION)

    (socket,) = runtime.glob("llmd-*/*/admin.sock")
    admin = httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://admin")
    pools = {each["name"]: each["pool"] for each in admin.get("/endpoints").json()["endpoints"]}
    assert pools == {"worker-0": "small", "worker-1": "other", "worker-2": "other"}
    page = httpx.get(f"{url}/metrics").text
    assert re.search(r'^llmd_gateway_endpoints_ready\{pool="other"\} 2$', page, re.MULTILINE)
    for pool in ("small", "other"):
        counted = rf'^llmd_gateway_prompts_total\{{counted_by="tokenizer",pool="{pool}"\}} [1-9]'
        assert re.search(counted, page, re.MULTILINE), "each tokenised by its own"


def test_the_worker_of_one_model_may_die_while_the_other_serves(two_models):
    process, url, _ = two_models
    small = int(re.search(r"worker-0 is ready: .* process (\d+)", process.log).group(1))
    os.kill(small, signal.SIGKILL)
    ask = lambda model: httpx.post(
        f"{url}/v1/chat/completions", json={"model": model, "messages": QUESTION, "max_tokens": 2}, timeout=60
    ).status_code
    assert ask("other") == 200
    wait_for(lambda: ask("small") == 200, "the worker again", 30)


@pytest.mark.parametrize(
    "text,error",
    [
        ("models:\n- {name: a, model: /no/such.gguf}\n", r"models\.yaml:2: .*such\.gguf"),
        ("models:\n- {name: a, topology: nope}\n", r"models\.yaml:2: .*nope"),
        ("models: []\n", r"models\.yaml:1:1: there are no models"),
    ],
)
def test_a_wrong_table_says_where(start, tmp_path, model_path, text, error):
    path = tmp_path / "models.yaml"
    path.write_text(text.replace("name: a, topology", f"name: a, model: {model_path}, topology"))
    process = start("up", "--models", str(path), "--listen", "127.0.0.1:0")
    assert process.wait() == 1
    assert re.search(error, process.log)


def test_models_that_do_not_fit_are_refused_with_the_numbers(start, tmp_path, model_path):
    path = tmp_path / "models.yaml"
    path.write_text(f"models:\n- {{name: a, model: {model_path}}}\n- {{name: b, model: {model_path}}}\n")
    process = start("up", "--models", str(path), "--listen", "127.0.0.1:0", "--kv-memory", "900GiB")
    assert process.wait() == 1
    assert re.search(r"a: .*MiB", process.log)
