"""`llmd sim`: the digital twin from the command line."""

import gzip
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

SOURCE_DIR = Path(__file__).resolve().parents[2]
SMALL = ("--endpoints", "4", "--requests", "400", "--load", "0.5", "--quiet")


@pytest.fixture
def compare(binary):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([binary, "sim", "compare", *arguments], check=False, capture_output=True, text=True,
                              timeout=120)

    return run


def figures(path: Path) -> dict[str, dict[str, float]]:
    return {policy["name"]: policy for policy in json.loads(path.read_text())["policies"]}


def test_the_documentation_has_every_option(binary):
    text = "".join(subprocess.run([binary, "sim", command, "--help"], check=True, capture_output=True, text=True).stdout
                   for command in ("compare", "tune", "forecast", "calibrate"))
    documented = (SOURCE_DIR / "docs/configuration.md").read_text()
    section = documented[documented.index("## `llmd sim`"):documented.index("## The small commands")]
    options = set(re.findall(r"--[a-z-]+", text)) - {"--help"}
    assert options == set(re.findall(r"`(--[a-z-]+)`", section))


@pytest.mark.parametrize("trace", ["chat", "agents", "shared-prefix", "documents", "tenants", "uniform", "bursty"])
def test_every_policy_runs_on_every_workload(compare, tmp_path, trace):
    ran = compare(*SMALL, "--trace", trace, "--json", str(tmp_path / "out.json"))
    assert ran.returncode == 0, ran.stderr
    found = figures(tmp_path / "out.json")
    assert {"random", "round-robin", "least-requests", "llm-d-default"} <= set(found)
    assert all(policy["failed"] == 0 and policy["ttft_p50_ms"] > 0 for policy in found.values())
    for name in found:
        assert re.search(rf"^{re.escape(name)} +\d", ran.stdout, re.MULTILINE), ran.stdout


def test_forecasts_of_load_are_judged(binary, tmp_path):
    ran = subprocess.run([binary, "sim", "forecast", "--trace", "documents", "--endpoints", "2", "--requests", "800",
                          "--policy", "llm-d-default", "--quiet", "--json", str(tmp_path / "out.json")],
                         check=False, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    judged = json.loads((tmp_path / "out.json").read_text())
    assert judged["policy"] == "llm-d-default" and judged["judged_s"] > 30
    found = {(each["load"], each["model"]): each for each in judged["forecasts"]}
    models = ("ewma", "holt-winters", "ar", "lstm", "last-value")
    assert set(found) == {(load, model) for load in ("requests", "tokens", "busy") for model in models}
    for (load, model), each in found.items():
        assert each["mae_5s"] > 0 and each["rmse_10s"] > 0, (load, model)
        assert re.search(rf"^{load} +{model} +\d", ran.stdout, re.MULTILINE), ran.stdout


@pytest.mark.parametrize("arguments,named", [
    (["--policy", "builtin"], "--policy"),
    (["--policy", "no-such"], "no-such"),
    (["--requests", "20"], "more --requests"),
])
def test_a_forecast_that_cannot_be_judged_is_refused(binary, arguments, named):
    ran = subprocess.run([binary, "sim", "forecast", "--quiet", *arguments], check=False, capture_output=True,
                         text=True, timeout=60)
    assert ran.returncode == 1 and named in ran.stderr, ran.stderr


def test_flow_control_of_a_configuration_runs(compare, tmp_path):
    head = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
    (tmp_path / "plain.yaml").write_text(head)
    (tmp_path / "full.yaml").write_text(head + 'featureGates: [flowControl]\nflowControl: {maxRequests: "1"}\n')
    ran = compare("--trace", "tenants", "--endpoints", "2", "--requests", "400", "--load", "2", "--quiet",
                  "--policies", f"{tmp_path}/plain.yaml,{tmp_path}/full.yaml", "--json", str(tmp_path / "out.json"))
    assert ran.returncode == 0, ran.stderr
    found = figures(tmp_path / "out.json")
    assert found["plain"]["failed"] == 0 and found["full"]["failed"] > 0


def test_same_seed_same_bytes(compare, tmp_path):
    for name in ("a.json", "b.json"):
        assert compare(*SMALL, "--seeds", "2", "--json", str(tmp_path / name)).returncode == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    compare(*SMALL, "--seed", "7", "--seeds", "2", "--json", str(tmp_path / "c.json"))
    assert (tmp_path / "a.json").read_bytes() != (tmp_path / "c.json").read_bytes()


def test_prefix_aware_policies_hit_more_than_random(compare, tmp_path):
    ran = compare("--trace", "shared-prefix", "--endpoints", "8", "--requests", "2000", "--load", "0.6", "--quiet",
                  "--policies", "random,llm-d-default", "--json", str(tmp_path / "out.json"))
    assert ran.returncode == 0, ran.stderr
    found = figures(tmp_path / "out.json")
    assert found["llm-d-default"]["hit_rate"] > found["random"]["hit_rate"]


def test_a_configuration_file_is_a_policy(compare, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: token-load-scorer\n")
    ran = compare(*SMALL, "--policies", f"random,{path}")
    assert ran.returncode == 0 and re.search("^mine ", ran.stdout, re.MULTILINE), ran.stderr
    path.write_text("apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: nonsense\n")
    ran = compare(*SMALL, "--policies", str(path))
    assert ran.returncode == 1 and "nonsense" in ran.stderr


def recorded_row(at: int, endpoint: str) -> str:
    return json.dumps({"timestamp": at, "input_length": 160, "output_length": 20, "block_tokens": 16,
                       "block_ids": [at * 10 + i for i in range(10)], "endpoint": endpoint, "status": 200}) + "\n"


def test_recorded_choices_are_repeated(compare, tmp_path):
    """All at one of two endpoints, at once: worse than any policy that looks at load."""
    log = tmp_path / "log.jsonl"
    log.write_text("".join(recorded_row(at, "worker-10" if at < 90 else "worker-2") for at in range(100)))
    arguments = ("--trace", str(log), "--requests", "0", "--load", "0", "--warm-up", "0", "--quiet")
    out = tmp_path / "out.json"
    ran = compare(*arguments, "--endpoints", "2", "--policies", "recorded,least-requests", "--json", str(out))
    assert ran.returncode == 0, ran.stderr
    found = figures(out)
    assert found["recorded"]["failed"] == 0
    assert found["recorded"]["busy_variation"] > 0.4 > found["least-requests"]["busy_variation"]
    wrong = compare(*arguments, "--endpoints", "1", "--policies", "recorded")
    assert wrong.returncode == 1
    assert "policy recorded needs the 2 endpoints that log names, and --endpoints is 1" in wrong.stderr


def test_a_generator_has_no_choices_to_repeat(binary, compare):
    wrong = compare("--trace", "chat", "--policies", "recorded")
    assert wrong.returncode == 1
    assert "policy recorded repeats what a gateway chose, and chat does not tell" in wrong.stderr
    assert "llmd gateway --record FILE" in wrong.stderr
    wrong = subprocess.run([binary, "sim", "forecast", "--trace", "chat", "--policy", "recorded", "--quiet"],
                           check=False, capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 1 and "chat does not tell" in wrong.stderr


def test_busy_cores_of_one_machine_slow_each_other_down(compare, tmp_path):
    tpot = {}
    for name, slowdown in (("none", 0), ("some", 0.1)):
        profile = tmp_path / f"{name}.yaml"
        profile.write_text(f"name: {name}\nneighbour_slowdown: {slowdown}\n")
        ran = compare(*SMALL, "--profile", str(profile), "--cores", "4", "--policies", "round-robin",
                      "--json", str(tmp_path / "out.json"))
        assert ran.returncode == 0, ran.stderr
        tpot[name] = figures(tmp_path / "out.json")["round-robin"]["tpot_p50_ms"]
    assert tpot["some"] > 1.1 * tpot["none"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("neighbour_slowdown: -1\n")
    ran = compare(*SMALL, "--profile", str(wrong))
    assert ran.returncode == 1 and "neighbour_slowdown is -1; expected 0 to 10" in ran.stderr


def test_mistakes_are_told(compare, tmp_path):
    wrong = compare("--policies", "randm")
    assert wrong.returncode == 1 and "did you mean random?" in wrong.stderr
    wrong = compare("--trace", "chatt")
    assert wrong.returncode == 1 and "did you mean chat?" in wrong.stderr
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"timestamp": 0, "input_length": 10, "output_length": 5, "hash_ids": [1]}\n{"timestamp": x}\n')
    wrong = compare("--trace", str(trace))
    assert wrong.returncode == 1 and f"{trace}:2: " in wrong.stderr
    generated = compare("--load", "0", "--quiet")
    assert generated.returncode == 1 and "was not recorded" in generated.stderr
    for flags in ("--load -1", "--load nan", "--load 0.5,x", "--oracle-every -1", "--warm-up nan", "--slo-ttft nan",
                  "--requests -1"):
        assert compare(*flags.split()).returncode == 2, flags
    wrong = compare("--requests", "0")
    assert wrong.returncode == 1 and "no end" in wrong.stderr
    trace.write_text('\n\n{"timestamp": x}\n')
    assert f"{trace}:3: " in compare("--trace", str(trace)).stderr
    for path in ("/dev/zero", str(tmp_path)):
        wrong = compare("--trace", path)
        assert wrong.returncode == 1 and "is not a file" in wrong.stderr
    wrong = compare("--json", str(tmp_path / "none" / "out.json"))
    assert wrong.returncode == 1 and "reading" not in wrong.stderr


def test_the_load_that_comes_is_the_load_asked_for(compare, tmp_path):
    out = tmp_path / "out.json"
    ran = compare("--trace", "uniform", "--endpoints", "4", "--requests", "4000", "--load", "0.6", "--quiet",
                  "--policies", "round-robin", "--json", str(out))
    assert ran.returncode == 0 and ran.stderr == ""
    asked = json.loads(out.read_text())["arrivals_per_s"]
    assert figures(out)["round-robin"]["arrivals_rps"] == pytest.approx(asked, rel=0.05)
    # Without sessions each request goes to a place of its own.
    ran = compare("--trace", "uniform", "--endpoints", "4", "--requests", "4000", "--load", "0.6", "--quiet",
                  "--policies", "session-hash", "--json", str(out))
    assert figures(out)["session-hash"]["load_variation"] < 0.3
    # Sessions of chats last longer than so few of them arrive.
    ran = compare("--endpoints", "64", "--requests", "2000", "--quiet", "--policies", "round-robin")
    assert ran.returncode == 0 and "take more --requests" in ran.stderr


def test_any_trace_and_any_name_will_do(compare, tmp_path):
    # One id under two parents, and after itself.
    rows = [{"timestamp": 400 * i, "input_length": 4096, "output_length": 200_000 if i == 5 else 20,
             "hash_ids": [i, 7, 7, 8, 9, 10, 11, 12]} for i in range(60)]
    trace = os.fsencode(tmp_path) + b"/bad\xff<b>.jsonl"
    Path(os.fsdecode(trace)).write_text("\n".join(json.dumps(row) for row in rows))
    ran = compare("--trace", os.fsdecode(trace), "--endpoints", "2", "--requests", "0", "--json",
                  str(tmp_path / "out.json"), "--html", str(tmp_path / "out.html"), "--warm-up", "0", "--quiet")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("bad?<b>: ") and "<b>" not in (tmp_path / "out.html").read_text()
    assert all(policy["failed"] == 0 for policy in figures(tmp_path / "out.json").values())


def test_the_page_needs_nothing_from_elsewhere(compare, tmp_path):
    page = tmp_path / "out.html"
    assert compare(*SMALL, "--html", str(page)).returncode == 0
    text = page.read_text()
    assert "<svg" in text and "llm-d-default" in text
    assert not re.search(r"https?://|<script|<link|url\(", text)


def test_several_loads_are_lines(compare, tmp_path):
    page, out = tmp_path / "out.html", tmp_path / "out.json"
    ran = compare("--endpoints", "4", "--requests", "400", "--quiet", "--load", "0.3,0.9", "--policies",
                  "random,llm-d-default", "--html", str(page), "--json", str(out))
    assert ran.returncode == 0, ran.stderr
    found = json.loads(out.read_text())["comparisons"]
    assert [comparison["load"] for comparison in found] == [0.3, 0.9]
    assert found[1]["arrivals_per_s"] == pytest.approx(3 * found[0]["arrivals_per_s"])
    text = page.read_text()
    assert "Goodput over the load" in text and text.count("<polyline") == 2 * (2 + 2)


def test_the_oracle_tells_good_choices_from_bad_ones(compare, tmp_path):
    out = tmp_path / "out.json"
    ran = compare("--trace", "agents", "--endpoints", "8", "--requests", "1500", "--quiet", "--oracle-every", "10",
                  "--policies", "random,llm-d-default", "--json", str(out))
    assert ran.returncode == 0, ran.stderr
    found = figures(out)
    assert found["llm-d-default"]["best_instance"] > 0.5 > found["random"]["best_instance"]
    assert found["random"]["regret_ms"] > found["llm-d-default"]["regret_ms"]
    assert compare(*SMALL, "--policies", "random", "--json", str(out)).returncode == 0
    assert "best_instance" not in figures(out)["random"]


def test_a_configuration_with_the_precise_index_hears_kv_events(compare, tmp_path):
    precise = SOURCE_DIR / "bench/policies/llm-d-precise-prefix.yaml"
    named = tmp_path / "a.yaml"
    named.write_text(precise.read_text())
    ran = compare(*SMALL, "--trace", "agents", "--policies", f"llm-d-precise-prefix,{named}", "--json",
                  str(tmp_path / "out.json"))
    assert ran.returncode == 0, ran.stderr
    built_in, ours = (figures(tmp_path / "out.json")[name] for name in ("llm-d-precise-prefix", "a"))
    assert built_in | {"name": ""} == ours | {"name": ""}, "the same profile, the same choices"


def test_the_study_writes_its_document(binary, tmp_path):
    """With one workload; that all its figures come from runs is why the whole is not tested here."""
    ran = subprocess.run([SOURCE_DIR / "bench/study.py", "--quick", "--workloads", "shared-prefix", "--llmd", binary,
                          "--cache", tmp_path / "cache", "--out", tmp_path / "study.md"],
                         check=False, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    text = (tmp_path / "study.md").read_text()
    assert "## shared-prefix" in text and "| throughput at the objectives of round robin's, shared-prefix |" in text
    assert "<svg" in (tmp_path / "study/shared-prefix.svg").read_text()


def test_mooncakes_trace_runs(compare, tmp_path):
    trace = tmp_path / "mooncake-conversation.jsonl"
    trace.write_bytes(gzip.decompress((SOURCE_DIR / "bench/traces/mooncake-conversation.jsonl.gz").read_bytes()))
    ran = compare("--trace", str(trace), "--endpoints", "8", "--requests", "1500", "--load", "0.6", "--quiet",
                  "--policies", "random,llm-d-default")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("mooncake-conversation: ")


def test_tune_finds_weights_that_hold_on_requests_it_has_not_seen(binary, tmp_path):
    trace = tmp_path / "mooncake-conversation.jsonl"
    trace.write_bytes(gzip.decompress((SOURCE_DIR / "bench/traces/mooncake-conversation.jsonl.gz").read_bytes()))
    config = tmp_path / "start.yaml"
    scorers = {"queue-scorer": 0.5, "prefix-cache-scorer": 5, "token-load-scorer": 0.5}  # far too much for the cache
    config.write_text("apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n" +
                      "".join(f"- type: {scorer}\n" for scorer in scorers) +
                      "schedulingProfiles:\n- name: default\n  plugins:\n" +
                      "".join(f"  - {{pluginRef: {scorer}, weight: {weight}}}\n" for scorer, weight in scorers.items()))

    def tune(out: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([binary, "sim", "tune", "--config", str(config), "--out", str(tmp_path / out), "--trace",
                               str(trace), "--requests", "4000", "--endpoints", "8", "--trials", "20", "--quiet"],
                              check=False, capture_output=True, text=True, timeout=120)

    first = tune("a.yaml")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[2].startswith("tuned"), "best first: " + first.stdout
    text = (tmp_path / "a.yaml").read_text()
    found, before = map(float, re.search(r"goodput ([\d.]+), before ([\d.]+)", text).groups())
    assert found > before
    assert subprocess.run([binary, "config", "validate", str(tmp_path / "a.yaml")], check=False).returncode == 0
    assert tune("b.yaml").stdout.split("tok/s")[0] == first.stdout.split("tok/s")[0]
    assert (tmp_path / "b.yaml").read_text() == text

    config.write_text("apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: queue-scorer\n")
    kept = tmp_path / "c.yaml"
    kept.write_text("kept")
    wrong = tune("c.yaml")
    assert wrong.returncode == 1 and "nothing to weigh" in wrong.stderr and kept.read_text() == "kept"
    assert subprocess.run([binary, "sim", "tune"], check=False, capture_output=True).returncode == 2
    assert subprocess.run([binary, "sim", "tune", "--out", ""], check=False, capture_output=True).returncode == 1


def test_tune_does_not_look_at_the_second_half(binary, tmp_path):
    rows = [json.loads(line) for line in gzip.decompress(
        (SOURCE_DIR / "bench/traces/mooncake-conversation.jsonl.gz").read_bytes()).splitlines()[:1500]]
    half = rows[-1]["timestamp"] / 2
    found = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "trace.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        ran = subprocess.run([binary, "sim", "tune", "--config", str(SOURCE_DIR / "examples/token-load.yaml"),
                              "--out", str(folder / "out.yaml"), "--trace", str(folder / "trace.jsonl"),
                              "--endpoints", "4", "--trials", "6", "--quiet"],
                             check=False, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        found.append((folder / "out.yaml").read_text())
        assert "after 6 trials" in found[-1]
        for row in rows:
            if row["timestamp"] >= half:
                row["output_length"] = 1
    assert found[0] == found[1]


def test_a_profile_says_what_endpoints_are(compare, tmp_path):
    for name, flags in (("without", ()), ("with", ("--profile", str(SOURCE_DIR / "bench/profiles/gpu.yaml")))):
        assert compare(*SMALL, *flags, "--json", str(tmp_path / f"{name}.json")).returncode == 0
    assert (tmp_path / "with.json").read_bytes() == (tmp_path / "without.json").read_bytes(), "it is the built-in one"

    profile = tmp_path / "profile.yaml"
    profile.write_text("step_s: 0.02\n")
    assert compare(*SMALL, "--profile", str(profile), "--json", str(tmp_path / "slow.json")).returncode == 0
    slow, usual = (figures(tmp_path / f"{name}.json")["random"]["tpot_p50_ms"] for name in ("slow", "with"))
    assert slow == pytest.approx(usual + 14, abs=2)

    for text, told in (("step_s: 0\n", ":1:9: step_s is 0; expected 1e-06 to 10"),
                       ("step_s: .nan\n", ":1:9: "),
                       ("stp_s: 1\n", "did you mean step_s?"),
                       ("slots: []\n", "expected at least one class of slots"),
                       ("slots: [{slots: 1, tokens_max: 8}, {slots: 1, tokens_max: 8}]\n", "smallest tokens_max first"),
                       ("slots: [{slots: 1}]\n", "needs slots and tokens_max"),
                       ("store_tokens: 1e30\n", ":1:15: "),
                       ("[1\n", ":")):
        profile.write_text(text)
        wrong = compare(*SMALL, "--profile", str(profile))
        assert wrong.returncode == 1 and told in wrong.stderr, (text, wrong.stderr)
    assert compare("--profile", str(tmp_path / "none.yaml")).returncode == 1
