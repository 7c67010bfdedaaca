"""Roles of workers that change at run time: prompts that wait too long get a second prefill worker."""

import concurrent.futures
import re

import httpx
import pytest

from waiting import wait_for

# Prompts that take long against what they hope for, and tokens that never do.
HOPES = {"x-slo-ttft-ms": "50", "x-slo-tpot-ms": "100000"}

# Every prompt is computed apart: the default would leave prompts to decode workers that have nothing to do.
CONFIG = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: prefill-filter
- type: decode-filter
- type: active-request-scorer
- type: predicted-latency-producer
- type: always-disagg-pd-decider
- {type: disagg-profile-handler, parameters: {deciders: {prefill: always-disagg-pd-decider}}}
schedulingProfiles:
- {name: prefill, plugins: [{pluginRef: prefill-filter}, {pluginRef: active-request-scorer}]}
- {name: decode, plugins: [{pluginRef: decode-filter}, {pluginRef: active-request-scorer}]}
"""


def ask(url, number, streams=True):
    words = " ".join(f"{number}x{i}" for i in range(25))
    body = {"prompt": f"{number} {words}", "max_tokens": 2, "temperature": 0, "stream": streams}
    headers = {"x-request-id": f"q{number}", **HOPES}
    answer = httpx.post(f"{url}/v1/completions", json=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    if streams:
        assert "data: [DONE]" in answer.text


def changes(url):
    found = re.search(r"^llmd_gateway_role_changes_total (\d+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    return int(found.group(1))


@pytest.mark.slow
def test_a_decode_worker_becomes_a_prefill_worker_and_nothing_is_lost(up, tmp_path):
    config = tmp_path / "apart.yaml"
    config.write_text(CONFIG)
    one = up("--topology", "prefill:1,decode:2", "--rebalance-roles", "--config", str(config))
    asked = 0

    def round_of_questions():
        nonlocal asked
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: ask(one.url, n), range(asked, asked + 8)))
        asked += 8
        return changes(one.url) > 0

    wait_for(round_of_questions, "a worker changed its role", deadline_s=90)
    assert re.search(r"worker-[12] changes its role: it takes nothing new", one.process.log)
    assert re.search(r"worker-[12] has the role prefill now", one.process.log)
    for number in range(asked, asked + 8):  # in its new role it hands its blocks on
        ask(one.url, number)
    page = httpx.get(f"{one.url}/metrics").text
    assert re.search(r"^llmd_gateway_prefill_failures_total 0$", page, re.MULTILINE)
