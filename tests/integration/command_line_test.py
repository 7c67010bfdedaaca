"""Every command with values that cannot be right: exit code 2 and one line on stderr that names the flag."""

import re
import subprocess

import pytest

ADDRESSES = ["nope", "host:99999", "https://host:1", ""]
SIZES = ["-1", "1.5GiB", "12XB", "lots", "99999999999TiB"]
COUNTS = ["-1", "x", "1e99", "99999999999"]
PORTS = ["-1", "70000", "x"]
DURATIONS = ["30", "-1s", "x"]  # as Go writes them
QUANTITIES = ["-1", "0", "four", "1x"]  # as Kubernetes writes them
LOGS = {"--log-level": ["loud"], "--log-format": ["xml"]}
SERVING = {"--request-timeout": [*COUNTS, "0"], "--drain-timeout": COUNTS, "--max-body": [*SIZES, "1", "17MiB"], **LOGS}
MEMORY = {
    "--kv-memory": SIZES,
    "--store-memory": SIZES,
    "--context": COUNTS,
    "--max-running": [*COUNTS, "0", "257"],
    "--numerics": ["slow"],
    "--weights": ["lost"],
}
WORKER = {
    **MEMORY,
    "--served-model-name": ["", "x" * 257],
    "--max-waiting": [*COUNTS, "0"],
    "--step-tokens": [*COUNTS, "15", "4097"],
    "--tpot-target": ["-1", "nan", "inf", "x"],
    "--gpu-layers": ["-1", "x"],
    "--pooling": ["max"],
    "--kv-listen": [*ADDRESSES[:3], "0.0.0.0:1"],
    "--kv-peers": ["10.0.0.0/99", "unix:relative"],
    "--kv-lease": [*COUNTS, "0"],
    "--kv-pull-timeout": [*COUNTS, "0"],
    "--threads": COUNTS,
}
FRONT = {
    "--listen": ADDRESSES,
    "--admin": ["nope", "127.0.0.1:1"],
    "--max-in-flight": [*COUNTS, "0"],
    "--max-attempts": [*COUNTS, "0", "10"],
    "--outlier-detection": ["", "maybe"],
    "--explain-rate": ["-1", "x", "nan", "1e7"],
    "--record-max": [*SIZES, "1", "1023KiB"],
    "--header-timeout": [*COUNTS, "0"],
    "--body-timeout": [*COUNTS, "0"],
    "--write-timeout": [*COUNTS, "0"],
    **SERVING,
}
# What a command needs beside the bad flag, and its flags with values that are none.
COMMANDS = {
    "up": (
        [],
        {"--topology": ["foo:1", "unified:0", "prefill:1", "", "unified:65"], "--tokenize": ["x"], **WORKER, **FRONT},
    ),
    "worker": (
        ["--model", "m.gguf"],
        {
            "--engine": ["vllm"],
            "--profile": ["gpu"],  # without --engine sim
            "--sim-endpoints": [*COUNTS, "0", "4097"],
            "--sim-output-tokens": [*COUNTS, "0"],
            "--kv-events-config": ["{}"],  # without --engine sim
            "--role": ["both"],
            "--listen": ADDRESSES,
            **WORKER,
            **SERVING,
        },
    ),
    "epp": (
        [],
        {
            "--grpc-port": PORTS,
            "--grpc-health-port": PORTS,
            "--metrics-port": PORTS,
            "--drain-timeout": DURATIONS,
            "--refresh-metrics-interval": DURATIONS,
            "--metrics-staleness-threshold": DURATIONS,
            "--refresh-prometheus-metrics-interval": DURATIONS,
            "--grpc-max-recv-msg-size": QUANTITIES,
            "--max-body": QUANTITIES,
            "--loops": [*COUNTS, "65"],
            "--admin": ["nope", "127.0.0.1:1"],
            "--tls-min-version": ["TLS1.2"],
            "--endpoint-target-ports": [*PORTS, "1,2,3,4,5,6,7,8,9"],
            "--endpoint-selector": ["app=x"],  # without ports
            "--zap-log-level": ["loud"],
            "--zap-encoder": ["xml"],
            "--v": ["-1", "11", "x"],
            "--total-queued-requests-metric": ["x"],
            "--total-running-requests-metric": ["x"],
            "--kv-cache-usage-percentage-metric": ["x"],
            "--lora-info-metric": ["x"],
            "--cache-info-metric": ["x"],
            **LOGS,
        },
    ),
    "sidecar": (
        [],
        {
            "--port": PORTS,
            "--model-server-port": [*PORTS, "0"],
            "--vllm-port": [*PORTS, "0"],
            "--data-parallel-size": [*COUNTS, "0", "65536"],
            "--kv-connector": ["nixl", ""],
            "--ec-connector": ["nixl"],
            "--mooncake-bootstrap-port": [*PORTS, "0"],
            "--p2p-connector-port": [*PORTS, "0"],
            "--prefill-max-retries": [*COUNTS, "101"],
            "--prefill-retry-backoff": DURATIONS,
            "--prefill-timeout": DURATIONS,
            "--answer-timeout": DURATIONS,
            "--drain-timeout": DURATIONS,
            "--decode-chunk-size": COUNTS,
            "--enable-tls": ["gateway"],
            "--tls-insecure-skip-verify": ["gateway"],
            "--inference-pool": ["a/b/c", "/b", "a/"],
            "--max-idle-conns-per-host": [*COUNTS, "0"],
            "--max-body": QUANTITIES,
            "--max-held-answer": QUANTITIES,
            "--metrics-port": PORTS,
            "--loops": [*COUNTS, "65"],
            "--moriio-parallel-decode-wait-timeout": DURATIONS,
            "--moriio-decode-notify-port": [*PORTS, "0"],
            "--moriio-decode-handshake-port": [*PORTS, "0"],
            "--moriio-prefill-notify-port": [*PORTS, "0"],
            "--moriio-prefill-handshake-port": [*PORTS, "0"],
            "--moriio-tp-size": [*COUNTS, "0"],
            "--moriio-dp-size": [*COUNTS, "0"],
            "--moriio-dp-size-local": COUNTS,
            "--moriio-remote-hosts": ["a,b"],  # without --moriio-dp-size-local
            "--moriio-decode-hosts": ["a,b"],
            "--zap-log-level": ["loud"],
            "--zap-encoder": ["xml"],
            "--configuration-file": ["/not/there"],
            "--configuration": ["[1]", "{nope: 1}"],
            **LOGS,
        },
    ),
    "gateway": (
        ["--endpoints", "http://127.0.0.1:1"],
        {"--loops": [*COUNTS, "65"], "--probe-interval": [*COUNTS, "49"], **FRONT},
    ),
    "doctor": ([], {"--listen": ADDRESSES, "--topology": ["foo:1", ""], **MEMORY}),
    "chat": ([], {"--url": ADDRESSES, "--temperature": ["-1", "2.1", "nan", "x"], "--max-tokens": [*COUNTS, "0"]}),
    "top": ([], {"--admin": ADDRESSES, "--interval": [*COUNTS, "1"]}),
    "explain": (["id"], {"--admin": ADDRESSES}),
}
ALONE = [
    ("worker", [], "--model"),
    ("gateway", [], "--endpoints"),
    ("gateway", ["--endpoints", "nope"], "--endpoints"),
    ("gateway", ["--endpoints", "dns:pods"], "--endpoints"),
    ("gateway", ["--endpoints", "kubernetes:pool"], "--endpoints"),
    ("gateway", ["--endpoints", "https://"], "--endpoints"),
    ("gateway", ["--endpoints", "http://a:1", "--routes", "b.yaml"], "--routes"),
    ("epp", ["--config-file", "a", "--config-text", "b"], "--config-text"),
    ("epp", ["--pool-name", "p", "--endpoint-selector", "a=b", "--endpoint-target-ports", "1"], "--endpoint-selector"),
    ("epp", ["--metrics-client-ca-file", "x"], "--metrics-cert-dir"),
    ("epp", ["--metrics-cert-dir", "x", "--metrics-endpoint-auth=false"], "--metrics-client-ca-file"),
    ("sidecar", ["--configuration", "{}", "--configuration-file", "x"], "--configuration"),
    ("sidecar", ["--enable-p2p-pull", "--kv-connector", "sglang"], "--enable-p2p-pull"),
    ("sidecar", ["--enable-ssrf-protection"], "--enable-ssrf-protection"),
    ("sidecar", ["--moriio-parallel-dispatch"], "--moriio-parallel-dispatch"),
    ("explain", [], "REQUEST_ID"),
    ("explain", ["a/b"], "a/b"),
    ("up", ["--models", "m.yaml", "--model", "m.gguf"], "--model"),
    ("up", ["--models", "m.yaml", "--served-model-name", "m"], "--served-model-name"),
    ("up", ["--kv-listen", "127.0.0.1:5600", "--topology", "prefill:2,decode:1"], "--kv-listen"),
]


def refused(binary, arguments: list[str], named: str) -> None:
    ran = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    told = f"{arguments}: exit code {ran.returncode}\n{ran.stderr}{ran.stdout}"
    assert ran.returncode == 2, told
    assert ran.stdout == "", told
    lines = ran.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"llmd {arguments[0]}: "), told
    assert named in lines[0] and f"(see llmd {arguments[0]} --help)" in lines[0], told


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_value_of_any_flag_is_refused_in_one_line(binary, command):
    needed, flags = COMMANDS[command]
    for flag, values in flags.items():
        for value in values:
            refused(binary, [command, *needed, f"{flag}={value}"], flag)
    refused(binary, [command, *needed, "--no-such-flag"], "--no-such-flag")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_the_help_was_tried_or_takes_any_text(binary, command):
    ran = subprocess.run([binary, command, "--help"], capture_output=True, text=True, timeout=10)
    assert ran.returncode == 0 and ran.stderr == ""
    told = set(re.findall(r"^ +(?:-v,)?(--[a-z0-9-]+)", ran.stdout, re.MULTILINE))
    any_text = {"--model", "--models", "--config", "--endpoints", "--routes", "--chat-template",
                "--kv-advertise", "--system",
                "--record", "--why-not", "--config-file", "--config-text", "--pool-name", "--pool-namespace",
                "--pool-group", "--cert-path", "--metrics-cert-dir", "--metrics-client-ca-file",
                "--tls-cipher-suites", "--bind-address", "--grpc-max-send-msg-size",
                # Taken without effect:
                "--enable-grpc-stream-metrics", "--zap-devel", "--zap-stacktrace-level",
                "--zap-time-encoding", "--allowed-hosts", "--moriio-local-pod-ip"}
    switches = {"--json", "--once", "--allow-long-context", "--allow-experimental-plugins",
                "--rebalance-roles", "--allow-local-endpoints", "--health-checking", "--secure-serving",
                "--enable-cert-reload",
                "--disable-endpoint-subset-filter", "--emit-endpoint-scores", "--ha-enable-leader-election",
                "--enable-pprof", "--metrics-endpoint-auth", "--tracing", "--secure-proxy",
                "--enable-prefiller-sampling",
                "--enable-p2p-pull", "--enable-ssrf-protection", "--moriio-write-mode", "--moriio-parallel-dispatch"}
    assert told - any_text - switches == set(COMMANDS[command][1])


@pytest.mark.parametrize("command,arguments,named", ALONE)
def test_flags_that_do_not_go_together_are_refused_in_one_line(binary, command, arguments, named):
    refused(binary, [command, *arguments], named)


def test_what_only_the_machine_can_refuse_is_exit_code_1(binary, tmp_path):
    for arguments in (
        ["up", "--model", "/no/such.gguf"],
        ["gateway", "--endpoints", "http://127.0.0.1:1", "--config", "/no/such.yaml"],
        ["top", "--admin", f"unix:{tmp_path}/none.sock"],
    ):
        ran = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=10)
        assert ran.returncode == 1 and "no" in ran.stderr, f"{arguments}: {ran.returncode} {ran.stderr}"
