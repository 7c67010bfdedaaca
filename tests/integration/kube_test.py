"""`llmd epp` with a real Kubernetes API server: what pools, pods, objectives and rewrites say takes effect."""

import datetime
import itertools
import json
import re
import signal
import statistics
import threading
import time

import httpx
import pytest

from envoy_process import Envoy
from epp_test import Fleet, chat, client_of, metric
from grpc_stock_client import (NOT_SERVING, SERVING, StockClient, part_of, request_body, request_headers, response_body,
                               response_headers, set_headers)
from kube_process import OLD_GROUP, Kube
from tcp_proxy import TcpProxy
from waiting import TIME_SCALE, wait_for

DESTINATION = "x-gateway-destination-endpoint"
OBJECTIVE = "x-llm-d-inference-objective"
EFFECT_S = 0.1  # a change takes effect within; asserted with room for a busy machine
LABELS = {"app": "vllm"}
SPACES = (f"test-{number}" for number in itertools.count(1))


@pytest.fixture(scope="session")
def kube(tmp_path_factory):
    server = Kube(tmp_path_factory.mktemp("kube"))
    yield server
    server.close()


@pytest.fixture
def space(kube):
    """A namespace that no other test uses."""
    return kube.namespace(next(SPACES))


class Picker:
    """`llmd epp` that follows a pool, and what it says of it on its admin socket."""

    def __init__(self, start, folder, config, *arguments: str, env: dict[str, str] | None = None, auth: bool = False):
        self.socket = folder / "epp.sock"
        self.process = start("epp", "--bind-address", "127.0.0.1", "--grpc-port", "0", "--grpc-health-port", "0",
                             "--metrics-port", "0", "--secure-serving=false", "--drain-timeout", "0s", "--loops", "1",
                             "--admin", f"unix:{self.socket}", f"--metrics-endpoint-auth={str(auth).lower()}",
                             *arguments,
                             env={"KUBECONFIG": str(config), "NAMESPACE": "", "POD_NAME": "", **(env or {})})
        found = self.process.wait_for_log(r"listening on ([0-9.]+:\d+) \(health ([0-9.]+:\d+), metrics ([0-9.]+:\d+)")
        self.address, self.health, self.metrics = found.groups()
        transport = httpx.HTTPTransport(uds=str(self.socket))
        self._admin = httpx.Client(transport=transport, base_url="http://admin", timeout=30)

    def endpoints(self) -> dict[str, str]:
        """By name, their URLs."""
        return {each["name"]: each["url"] for each in self._admin.get("/endpoints").json()["endpoints"]}

    def serving(self, service: str = "readiness") -> int:
        with StockClient(int(self.health.rsplit(":", 1)[1])) as client:
            return client.check(service)

    def ask(self, *messages) -> list:
        with StockClient(int(self.address.rsplit(":", 1)[1])) as client:
            return list(client.process(messages))


@pytest.fixture
def pick(start, kube, runtime_folder):
    def make(*arguments: str, config=None, env=None, folder=runtime_folder, auth=False) -> Picker:
        return Picker(start, folder, config or kube.kubeconfig("reader"), *arguments, env=env, auth=auth)

    return make


def request(model: str = "m", **headers: str) -> list:
    body = json.dumps({"model": model, "prompt": "x"}, separators=(",", ":")).encode()
    return [request_headers({"x-request-id": "id", **headers}.items()), request_body(body)]


def sent(answers: list) -> tuple[str, dict]:
    """Where a request goes, and its body."""
    head, *bodies = answers
    assert part_of(head) == "request_headers", head
    whole = b"".join(body.request_body.response.body_mutation.streamed_response.body for body in bodies)
    return set_headers(head.request_headers.response.header_mutation)[DESTINATION], json.loads(whole)


def listed(kube: Kube, space: str, ports: list[int]) -> dict[str, str]:
    """What the endpoints must be, from a fresh list."""
    wanted = {}
    pods = kube.ask("GET", f"/api/v1/namespaces/{space}/pods?labelSelector=app%3Dvllm")["items"]
    for pod in pods:
        conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
        if conditions.get("Ready") != "True" or "deletionTimestamp" in pod["metadata"]:
            continue
        for rank, port in enumerate(ports):
            name = f"{space}/{pod['metadata']['name']}-rank-{rank}"
            wanted[name] = f"http://{pod['status']['podIP']}:{port}"
    return wanted


def in_step(kube: Kube, picker: Picker, space: str, ports: list[int], deadline_s: float = 20) -> None:
    wanted = listed(kube, space, ports)
    wait_for(lambda: picker.endpoints() == wanted, f"{len(wanted)} endpoints as listed", deadline_s * TIME_SCALE)


def effect_of(change, happened) -> float:
    """Seconds from the request for the change to when it is seen to have happened."""
    began = time.monotonic()
    change()
    wait_for(happened, "the effect", 10 * TIME_SCALE)
    return time.monotonic() - began


def test_pods_appear_change_and_vanish_at_once(kube, space, pick):
    kube.pool(space, "pool", LABELS, [8000])
    picker = pick("--pool-name", "pool", "--pool-namespace", space)
    wait_for(lambda: picker.serving() == SERVING, "a pool that is known")
    took = []
    for number in range(5):
        pod = kube.pod(space, f"p{number}", LABELS)
        name = f"{space}/p{number}-rank-0"
        took.append(effect_of(lambda: kube.set_status(pod, "10.1.2.3"), lambda: name in picker.endpoints()))
        took.append(effect_of(lambda: kube.set_status(pod, "10.1.2.4"),
                              lambda: picker.endpoints().get(name) == "http://10.1.2.4:8000"))
        took.append(effect_of(lambda: kube.set_status(pod, "10.1.2.4", ready=False),
                              lambda: name not in picker.endpoints()))
        kube.set_status(pod, "10.1.2.4")
        wait_for(lambda: name in picker.endpoints(), "the pod again")
        took.append(effect_of(lambda: kube.merge(pod, {"metadata": {"labels": {"app": "other"}}}),
                              lambda: name not in picker.endpoints()))
        took.append(effect_of(lambda: kube.merge(pod, {"metadata": {"labels": LABELS}}),
                              lambda: name in picker.endpoints()))
        took.append(effect_of(lambda: kube.delete(pod), lambda: name not in picker.endpoints()))
    print(f"a change takes effect in {statistics.median(took) * 1000:.0f} ms (median), "
          f"{max(took) * 1000:.0f} ms at most, of {len(took)}")
    assert statistics.median(took) < EFFECT_S * TIME_SCALE
    in_step(kube, picker, space, [8000])


def test_a_pool_decides_which_pods_and_ports(kube, space, pick):
    pool = kube.pool(space, "pool", LABELS, [8000, 8001])
    kube.pod(space, "a", LABELS, "10.0.0.1")
    kube.pod(space, "b", LABELS, "fd00::2", annotations={"llm-d.ai/active-ports": "8001"})
    kube.pod(space, "c", LABELS, "10.0.0.3", ready=False)
    kube.pod(space, "d", {"app": "other"}, "10.0.0.4")
    for name, ip in (("e", "127.0.0.1"), ("f", "169.254.169.254")):
        kube.pod(space, name, LABELS, ip)
    picker = pick("--pool-name", "pool", env={"NAMESPACE": space})
    a = {f"{space}/a-rank-0": "http://10.0.0.1:8000", f"{space}/a-rank-1": "http://10.0.0.1:8001"}
    wait_for(lambda: picker.endpoints() == {**a, f"{space}/b-rank-1": "http://[fd00::2]:8001"}, "both pods' ports")
    assert metric(picker, "llmd_kube_pods_refused") == 2
    assert "169.254.169.254 is a link-local address" in picker.process.log
    kube.merge(pool, {"spec": {"targetPorts": [{"number": 8000}]}})
    wait_for(lambda: picker.endpoints() == {f"{space}/a-rank-0": "http://10.0.0.1:8000"}, "one port")
    kube.merge(pool, {"spec": {"selector": {"matchLabels": {"app": "other"}}}})
    wait_for(lambda: picker.endpoints() == {f"{space}/d-rank-0": "http://10.0.0.4:8000"}, "other pods")
    kube.delete(pool)
    wait_for(lambda: picker.endpoints() == {} and picker.serving() == NOT_SERVING, "no pool")
    kube.pool(space, "pool", LABELS, [8000])
    wait_for(lambda: picker.endpoints() == {f"{space}/a-rank-0": "http://10.0.0.1:8000"}, "the pool again")
    assert picker.serving() == SERVING


def test_local_addresses_serve_where_they_are_allowed(kube, space, pick):
    kube.pool(space, "pool", LABELS, [8000])
    kube.pod(space, "a", LABELS, "127.0.0.1")
    picker = pick("--pool-name", "pool", "--pool-namespace", space, "--allow-local-endpoints")
    wait_for(lambda: picker.endpoints() == {f"{space}/a-rank-0": "http://127.0.0.1:8000"}, "the endpoint")


def test_pods_of_a_selector_need_no_pool(kube, space, pick):
    kube.pod(space, "a", {"app": "vllm", "tier": "1"}, "10.0.0.1")
    kube.pod(space, "b", {"app": "vllm", "tier": "2"}, "10.0.0.2")
    picker = pick("--endpoint-selector", "app in (vllm),tier!=2", "--endpoint-target-ports", "8000,8001",
                  "--pool-namespace", space, env={"POD_NAME": "my-epp-7d4b9c-x2x5p"})
    wait_for(lambda: picker.endpoints() == {f"{space}/a-rank-0": "http://10.0.0.1:8000",
                                            f"{space}/a-rank-1": "http://10.0.0.1:8001"}, "the pod's endpoints")
    assert picker.serving() == SERVING
    page = httpx.get(f"http://{picker.metrics}/metrics", timeout=5).text
    assert re.search(r'^inference_pool_ready_pods\{name="my-epp"\}', page, re.MULTILINE)


def test_a_pool_of_the_older_group(kube, space, pick):
    kube.pod(space, "a", LABELS, "10.0.0.1")
    folder = f"/apis/{OLD_GROUP}/v1alpha2/namespaces/{space}/inferencepools"
    kube.ask("POST", folder, {
        "apiVersion": f"{OLD_GROUP}/v1alpha2", "kind": "InferencePool", "metadata": {"name": "pool"},
        "spec": {"selector": LABELS, "targetPortNumber": 9000, "extensionRef": {"name": "epp"}}})
    picker = pick("--pool-name", "pool", "--pool-namespace", space, "--pool-group", OLD_GROUP)
    wait_for(lambda: picker.endpoints() == {f"{space}/a-rank-0": "http://10.0.0.1:9000"}, "the endpoint")


def test_the_pools_protocol_must_be_one_that_the_parsers_read(kube, space, pick):
    pool = kube.pool(space, "pool", LABELS, [8000], appProtocol="http")
    config = "kind: EndpointPickerConfig\napiVersion: llm-d.ai/v1alpha1\nplugins: [{type: vllmgrpc-parser}]\n" \
             "requestHandler: {parsers: [{pluginRef: vllmgrpc-parser}]}\n"
    picker = pick("--pool-name", "pool", "--pool-namespace", space, "--config-text", config)
    wait_for(lambda: metric(picker, "llmd_kube_synced") == 1, "a pool that is known")
    assert picker.serving() == NOT_SERVING
    kube.merge(pool, {"spec": {"appProtocol": "kubernetes.io/h2c"}})
    wait_for(lambda: picker.serving() == SERVING, "a protocol that fits")


@pytest.fixture
def served(kube, space, pick, engines):
    """A picker whose pool has one pod, which an engine on this machine serves."""
    port = int(engines().url.rsplit(":", 1)[1])
    kube.pool(space, "pool", LABELS, [port])
    kube.pod(space, "a", LABELS, "127.0.0.1")

    def make() -> Picker:
        picker = pick("--pool-name", "pool", "--pool-namespace", space, "--allow-local-endpoints")
        wait_for(lambda: metric(picker, "llmd_epp_endpoints_ready") == 1, "the endpoint")
        assert picker.serving() == SERVING
        return picker

    return make


def test_objectives_give_priorities(kube, space, served):
    objective = kube.objective(space, "batch", -1, "pool")
    kube.objective(space, "other", -1, "another-pool")
    kube.objective(space, "old", -1, "pool", group=OLD_GROUP)
    picker = served()

    def priorities(name: str) -> set[str]:
        picker.ask(*request(**{OBJECTIVE: name}))
        page = httpx.get(f"http://{picker.metrics}/metrics", timeout=5).text
        found = re.findall(r'^llm_d_epp_request_total\{([^}]*)\} (\d+)', page, re.MULTILINE)
        return {re.search(r'priority="([^"]*)"', labels).group(1) for labels, _ in found}

    assert priorities("other") == {"0"}
    assert priorities("old") == {"0"}, "the older group is ignored where the newer one is installed"
    assert priorities("batch") == {"0", "-1"}
    kube.merge(objective, {"spec": {"priority": 7}})
    wait_for(lambda: priorities("batch") == {"0", "-1", "7"}, "the new priority")
    assert "are ignored" in picker.process.log


def test_rewrites_replace_the_model(kube, space, served):
    kube.rewrite(space, "canary", [{"matches": [{"model": {"type": "Exact", "value": "m"}}],
                                    "targets": [{"modelRewrite": "m-v2", "weight": 1},
                                                {"modelRewrite": "never"}]}], "pool")
    generic = kube.rewrite(space, "all", [{"targets": [{"modelRewrite": "fallback"}]}], "pool")
    picker = served()
    wait_for(lambda: sent(picker.ask(*request()))[1]["model"] == "m-v2", "the rewrite")
    assert sent(picker.ask(*request(**{"x-llm-d-model-name-rewrite": "client"})))[1]["model"] == "m-v2"
    assert sent(picker.ask(*request("else")))[1]["model"] == "fallback"
    answers = picker.ask(*request(), response_headers({":status": "200", "content-type": "application/json"}.items()),
                         response_body(b'{"model":"m-v2","usage":{}}'))
    whole = b"".join(each.response_body.response.body_mutation.streamed_response.body for each in answers
                     if part_of(each) == "response_body")
    assert json.loads(whole)["model"] == "m"
    kube.delete(generic)
    wait_for(lambda: sent(picker.ask(*request("else")))[1]["model"] == "else", "no rewrite")
    page = httpx.get(f"http://{picker.metrics}/metrics", timeout=5).text
    assert re.search(r'^llm_d_epp_model_rewrite_decisions_total\{[^}]*model_rewrite_name="canary"[^}]*\} [1-9]', page,
                     re.MULTILINE)


def test_a_client_is_served_by_the_ports_of_a_pod(kube, space, pick, start, tmp_path):
    """Envoy, the picker, and a pod with two ranks: a simulated worker."""
    fleet = Fleet(start, tmp_path)
    _, urls = fleet.workers(2)
    kube.pool(space, "pool", LABELS, [int(url.rsplit(":", 1)[1]) for url in urls])
    kube.pod(space, "a", LABELS, "127.0.0.1")
    picker = pick("--pool-name", "pool", "--pool-namespace", space, "--allow-local-endpoints",
                  "--refresh-prometheus-metrics-interval", "100ms")
    wait_for(lambda: metric(picker, 'inference_pool_ready_pods{name="pool"}') == 2, "both ranks")
    envoy = Envoy(tmp_path / "envoy", picker.address)
    try:
        client = client_of(envoy)
        for number in range(8):
            assert chat(client, f"number {number}", max_tokens=5).usage.completion_tokens == 5
    finally:
        envoy.close()
    assert metric(picker, "llmd_epp_picks_total") == 8


def test_the_gateway_follows_a_pool(kube, space, start, engines):
    engine = engines()
    kube.pool(space, "pool", LABELS, [int(engine.url.rsplit(":", 1)[1])])
    process = start("gateway", "--listen", "127.0.0.1:0", "--endpoints", f"kubernetes:{space}/pool", "--loops", "1",
                    "--admin", "none", "--allow-local-endpoints", "--probe-interval", "100",
                    env={"KUBECONFIG": str(kube.kubeconfig("reader"))})
    url = process.base_url()
    pod = kube.pod(space, "a", LABELS, "127.0.0.1")
    wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints_ready"] == 1, "the pod")
    kube.delete(pod)
    wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints"] == 0, "no pod")


def test_the_sidecar_asks_only_pods_of_its_pool(kube, space, start, engines):
    prefiller, decoder = engines(), engines()
    kube.pool(space, "pool", LABELS, [8000])
    local = ("--port", "0", "--bind-address", "127.0.0.1", "--secure-proxy=false", "--loops", "1")
    process = start("sidecar", *local, "--model-server-port", decoder.url.rsplit(":", 1)[1],
                    "--prefill-timeout", "100ms", "--allowed-hosts", "127.0.0.1",
                    env={"KUBECONFIG": str(kube.kubeconfig("reader")), "INFERENCE_POOL": f"{space}/pool"})
    url = process.base_url()

    def ask(target: str) -> int:
        headers = {"x-prefiller-host-port": target}
        return httpx.post(f"{url}/v1/completions", json={"prompt": "x"}, headers=headers).status_code

    assert ask("10.9.9.9:1") == 403
    assert ask(prefiller.url.removeprefix("http://")) == 200
    pod = kube.pod(space, "a", LABELS, "10.9.9.9")
    wait_for(lambda: ask("10.9.9.9:1") == 200, "the pod, which does not answer, so that the engine here computes")
    kube.delete(pod)
    wait_for(lambda: ask("10.9.9.9:1") == 403, "no pod")


def test_nothing_drifts_when_the_network_fails(kube, space, pick):
    kube.pool(space, "pool", LABELS, [8000])
    pods = [kube.pod(space, f"p{number}", LABELS, f"10.0.0.{number + 1}") for number in range(6)]
    proxy = TcpProxy(kube.port)
    proxy.refuse()
    try:
        picker = pick("--pool-name", "pool", "--pool-namespace", space,
                      config=kube.kubeconfig("reader", port=proxy.port))
        wait_for(lambda: picker.serving() == NOT_SERVING, "health")  # without the server there is no pool
        proxy.admit()
        in_step(kube, picker, space, [8000])
        lists = metric(picker, "llmd_kube_lists_total")
        for number in range(3):  # cut, and go on from where it was
            proxy.cut()
            kube.set_status(pods[number], f"10.9.0.{number}")
            in_step(kube, picker, space, [8000])
        proxy.refuse()
        kube.delete(pods[0])
        kube.pod(space, "late", LABELS, "10.0.1.1")
        kube.set_status(pods[1], "10.9.9.9", ready=False)
        assert len(picker.endpoints()) == 6, "what is known stays while the server cannot be reached"
        assert picker.serving() == SERVING
        proxy.admit()
        in_step(kube, picker, space, [8000])
        assert metric(picker, "llmd_kube_lists_total") == lists, "what was missed came as events"
    finally:
        proxy.close()


def test_nothing_drifts_when_the_server_forgets(tmp_path, start, runtime_folder):
    """The server is restarted and etcd compacted while the picker cannot reach it: the version that it would go on from
    is gone (410), and it lists again."""
    kube = Kube(tmp_path / "own")
    space = kube.namespace("ns")
    proxy = TcpProxy(kube.port)
    try:
        kube.pool(space, "pool", LABELS, [8000])
        pods = [kube.pod(space, f"p{number}", LABELS, f"10.0.0.{number + 1}") for number in range(4)]
        picker = Picker(start, runtime_folder, kube.kubeconfig("reader", port=proxy.port), "--pool-name", "pool",
                        "--pool-namespace", space)
        in_step(kube, picker, space, [8000])
        kube.stop_apiserver()
        kube.start_apiserver()
        kube.set_status(pods[0], "10.5.0.1")
        in_step(kube, picker, space, [8000])
        proxy.refuse()
        kube.delete(pods[1])
        kube.pod(space, "late", LABELS, "10.0.1.1")
        kube.compact()
        kube.stop_apiserver()
        kube.start_apiserver()
        lists = metric(picker, "llmd_kube_lists_total")
        proxy.admit()
        in_step(kube, picker, space, [8000])
        wait_for(lambda: metric(picker, "llmd_kube_lists_total") > lists, "a new list")
    finally:
        proxy.close()
        kube.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_five_thousand_pods(kube, space, pick, tmp_path):
    count, ports = 5_000, [8000, 8001]
    kube.pool(space, "pool", LABELS, ports)
    picker = pick("--pool-name", "pool", "--pool-namespace", space, "--refresh-metrics-interval", "10s",
                  "-v", "4")
    began = time.monotonic()

    def make(numbers) -> None:
        with kube.client("admin") as client:
            for number in numbers:
                folder = f"/api/v1/namespaces/{space}/pods"
                client.post(folder, json={"metadata": {"name": f"p{number}", "labels": LABELS}, "spec": {
                    "nodeName": "node", "containers": [{"name": "engine", "image": "engine"}]}}).raise_for_status()
                client.patch(f"{folder}/p{number}/status", headers={"Content-Type": "application/merge-patch+json"},
                             content=json.dumps({"status": {
                                 "podIP": f"10.{number // 65536}.{number // 256 % 256}.{number % 256}",
                                 "conditions": [{"type": "Ready", "status": "True"}]}})).raise_for_status()

    threads = [threading.Thread(target=make, args=(range(part, count, 8),)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = time.monotonic() - began
    wait_for(lambda: metric(picker, "llmd_epp_endpoints") == count * len(ports), "all endpoints", 60 * TIME_SCALE)
    in_step(kube, picker, space, ports, 60)
    print(f"{count} pods made in {made:.0f} s; {metric(picker, 'llmd_kube_events_total'):.0f} events in "
          f"{metric(picker, 'llmd_kube_changes_total'):.0f} changes")
    assert metric(picker, "llmd_kube_pods") == count
    began = time.monotonic()
    fresh = pick("--pool-name", "pool", "--pool-namespace", space, "--refresh-metrics-interval", "10s", folder=tmp_path)
    wait_for(lambda: metric(fresh, "llmd_epp_endpoints") == count * len(ports), "all, from a list", 60 * TIME_SCALE)
    print(f"a picker that starts knows them in {time.monotonic() - began:.1f} s")
    assert fresh.endpoints() == picker.endpoints()
    fresh.process.close()
    took = []
    for number in range(10):  # by the picker's log: its pages take longer, with so many endpoints
        began = time.time()
        kube.delete(f"/api/v1/namespaces/{space}/pods/p{number}")
        lines = re.compile(r'"time":"([^"]+)"[^\n]*: 0 endpoints come or change, 2 go')
        wait_for(lambda: len(lines.findall(picker.process.log)) > number, "the change", 10 * TIME_SCALE)
        happened = datetime.datetime.fromisoformat(lines.findall(picker.process.log)[number])
        took.append(happened.timestamp() - began)
    print(f"with all of them, a change takes effect in {statistics.median(took) * 1000:.0f} ms (median), "
          f"{max(took) * 1000:.0f} ms at most")
    assert statistics.median(took) < EFFECT_S * TIME_SCALE
    kube.ask("DELETE", f"/api/v1/namespaces/{space}/pods", {"gracePeriodSeconds": 0})
    wait_for(lambda: picker.endpoints() == {}, "no endpoints", 60 * TIME_SCALE)


def test_one_replica_leads_and_another_takes_over(kube, space, pick, runtime_folder):
    kube.pool(space, "pool", LABELS, [8000])
    arguments = ("--pool-name", "pool", "--pool-namespace", space, "--ha-enable-leader-election")
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{space}/leases/epp-{space}-pool.llm-d.ai"
    replicas = []
    for name in ("a", "b"):
        folder = runtime_folder / name
        folder.mkdir()
        replicas.append(pick(*arguments, config=kube.kubeconfig("admin"), folder=folder))
    first, second = replicas

    def leaders():
        return [replica for replica in replicas if replica.serving() == SERVING]

    wait_for(lambda: len(leaders()) == 1, "one that leads", 20 * TIME_SCALE)
    leader = leaders()[0]
    other = second if leader is first else first
    assert leader.serving("liveness") == other.serving("liveness") == SERVING
    held = kube.ask("GET", lease)["spec"]
    assert held["leaseDurationSeconds"] == 15 and held["holderIdentity"]
    time.sleep(2.5)  # a renewal
    renewed = kube.ask("GET", lease)["spec"]
    assert renewed["holderIdentity"] == held["holderIdentity"] and renewed["renewTime"] > held["renewTime"]
    began = time.monotonic()
    leader.process.process.send_signal(signal.SIGTERM)
    assert leader.process.wait() == 0
    wait_for(lambda: other.serving() == SERVING, "the other to lead", 20 * TIME_SCALE)
    print(f"the other leads {time.monotonic() - began:.1f} s after SIGTERM")
    assert time.monotonic() - began < 10 * TIME_SCALE, "the lease was released, and not waited for"
    taken = kube.ask("GET", lease)["spec"]
    assert taken["holderIdentity"] != held["holderIdentity"] and taken["leaseTransitions"] >= 1
    kube.merge(lease, {"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 3600}})
    wait_for(lambda: other.serving() == NOT_SERVING, "the lease to be lost", 20 * TIME_SCALE)


def test_kubernetes_says_who_may_read_the_metrics(kube, space, pick):
    kube.pool(space, "pool", LABELS, [8000])
    picker = pick("--pool-name", "pool", "--pool-namespace", space, config=kube.kubeconfig("admin"), auth=True)

    def get(path: str, token: str | None = None) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(f"http://{picker.metrics}{path}", headers=headers, timeout=10).status_code

    assert get("/metrics") == get("/metrics", "made-up") == get("/debug/plugins/state") == 401
    assert get("/metrics", "nobody-token") == 403
    assert get("/metrics", "admin-token") == get("/metrics", "admin-token") == 200
    wait_for(lambda: get("/readyz") == 200, "a pool that is known")
    folder = picker.socket.parent / "unable"
    folder.mkdir()
    unable = pick("--pool-name", "pool", "--pool-namespace", space, auth=True, folder=folder)
    refused = httpx.get(f"http://{unable.metrics}/metrics", headers={"Authorization": "Bearer admin-token"}, timeout=10)
    assert refused.status_code == 503, "its own account may not ask"
