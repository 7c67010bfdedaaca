"""`llmd epp` message by message, seen by a stock gRPC client: the cases of llm-d's own hermetic tests
(llm-d-router, test/integration/epp: hermetic_test.go, common_tests.go, endpoint_scores_test.go) made again as a table,
and ours."""

import json

import grpc
import httpx
import pytest

from epp_test import CONFIG, Fleet, metric
from grpc_stock_client import (NOT_SERVING, SERVING, ProcessingRequest, StockClient, part_of, request_body,
                               request_headers, request_trailers, response_body, response_headers, response_trailers,
                               server_certificate, set_headers)
from waiting import wait_for

ID = "test-request-id"
DESTINATION = "x-gateway-destination-endpoint"
REWRITE = "x-llm-d-model-name-rewrite"
OBJECTIVE = "x-llm-d-inference-objective"
LORA_CONFIG = CONFIG.replace("- type: prefix-cache-scorer", "- type: lora-affinity-scorer").replace(
    "pluginRef: prefix-cache-scorer", "pluginRef: lora-affinity-scorer")


@pytest.fixture
def fleet(start, tmp_path):
    return Fleet(start, tmp_path)


class Picker:
    def __init__(self, fleet: Fleet, engines, *arguments: str, config: str = CONFIG):
        self.addresses = [engine.url.removeprefix("http://") for engine in engines]
        self.process = fleet.picker([engine.url for engine in engines], *arguments, config=config)
        self.port = int(self.process.address.rsplit(":", 1)[1])
        self.health_port = int(self.process.health.rsplit(":", 1)[1])

    def ask(self, *requests, **options) -> list:
        with StockClient(self.port, **options) as client:
            return list(client.process(requests))


def llm(prompt: str, model: str = "m", target: str = "", subset: list[str] | None = None, **headers: str) -> list:
    given = {"hi": "mom", "x-request-id": ID, **headers, **({REWRITE: target} if target else {})}
    metadata = None
    if subset is not None:
        metadata = {"envoy.lb.subset_hint": {"x-gateway-destination-endpoint-subset": subset}}
    body = json.dumps({"max_tokens": 100, "model": model, "prompt": prompt, "temperature": 0},
                      separators=(",", ":")).encode()
    return [request_headers(given.items(), metadata=metadata), request_body(body)]


def routed(answers: list, target: str = "m", prompt: str | None = None) -> str:
    """The endpoint that the answers name, which say the same everywhere and nothing else."""
    head, *bodies = answers
    assert part_of(head) == "request_headers"
    response = head.request_headers.response
    assert response.clear_route_cache
    given = set_headers(response.header_mutation)
    destination = given.pop(DESTINATION)
    assert head.dynamic_metadata["envoy.lb"][DESTINATION] == destination
    streamed = [body.request_body.response.body_mutation.streamed_response for body in bodies]
    whole = b"".join(piece.body for piece in streamed)
    assert given.pop("Content-Length") == str(len(whole))
    assert given == {"hi": "mom", "x-request-id": ID}
    assert [piece.end_of_stream for piece in streamed] == [False] * (len(streamed) - 1) + [True]
    assert all(len(piece.body) <= 62_000 for piece in streamed)
    if prompt is not None:
        assert whole == json.dumps({"max_tokens": 100, "model": target, "prompt": prompt, "temperature": 0},
                                   separators=(",", ":")).encode()
    return destination


def refused(answers: list) -> tuple[int, str, dict[str, str]]:
    (answer,) = answers
    assert part_of(answer) == "immediate_response"
    immediate = answer.immediate_response
    return immediate.status.code, immediate.body.decode(), set_headers(immediate.headers)


# name, engines as (waiting, kv, running adapters), request, the place of the engine that must win
CHOICES = {
    "select lower queue and kv cache": ([(3, .2, ()), (0, .1, ()), (10, .2, ())], dict(prompt="test1"), 1),
    "select active lora, low queue":
        ([(0, .2, ("foo", "bar")), (0, .1, ("foo", "lora-1")), (10, .2, ("foo", "bar"))],
         dict(prompt="test2", model="sql-lora", target="lora-1"), 1),
    "select lora despite higher kv cache (affinity)":
        ([(10, .2, ("foo", "bar")), (10, .4, ("foo", "lora-1")), (10, .3, ("foo",))],
         dict(prompt="test3", model="sql-lora", target="lora-1"), 1),
    "do not shed requests by default":
        ([(6, .2, ("foo", "bar", "lora-1")), (0, .85, ("foo",)), (10, .9, ("foo",))],
         dict(prompt="test4", model="sql-lora", target="lora-1"), 0),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_endpoint_that_upstream_expects_wins(fleet, engines, name):
    states, request, winner = CHOICES[name]
    made = [engines(waiting=waiting, kv_usage=kv, running_adapters=adapters) for waiting, kv, adapters in states]
    picker = Picker(fleet, made, config=LORA_CONFIG)
    answers = picker.ask(*llm(**request))
    assert routed(answers, request.get("target", "m"), request["prompt"]) == picker.addresses[winner]


def test_the_upstream_cases_on_one_endpoint(fleet, engines):
    picker = Picker(fleet, [engines()])
    (address,) = picker.addresses
    # invalid json body
    status, body, _ = refused(picker.ask(request_headers({"hi": "mom"}.items()), request_body(b"no healthy upstream")))
    assert (status, body.split(" - ")[0]) == (400, "inference error: BadRequest")
    # split body across chunks; passthrough: model not in objectives
    head = request_headers({"hi": "mom", OBJECTIVE: "direct", REWRITE: "direct", "x-request-id": ID}.items())
    answers = picker.ask(head, request_body(b'{"max_tokens":100,"model":"direct-', end_of_stream=False),
                         request_body(b'model","prompt":"test6","temperature":0}'))
    assert routed(answers, "direct", "test6") == address
    # request missing model field
    assert refused(picker.ask(request_headers({"content-type": "application/json"}.items()),
                              request_body(b'{"prompt":"hello world"}'))) == \
        (400, "inference error: BadRequest - model not found in request body", {})
    # protocol: simple GET (header only)
    (answer,) = picker.ask(request_headers({"content-type": "text/event-stream", "status": "200"}.items(), True))
    given = set_headers(answer.request_headers.response.header_mutation)
    assert given.pop(DESTINATION) == address
    assert list(given) == ["x-request-id"] and len(given["x-request-id"]) == 36
    # subsetting
    assert routed(picker.ask(*llm("x", subset=[address]))) == address
    assert refused(picker.ask(*llm("x", subset=["192.168.1.99:8000"]))) == \
        (503, "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request",
         {"x-llm-d-request-dropped-reason": "rejected-no-endpoints"})
    assert refused(picker.ask(*llm("x", subset=[])))[0] == 503


def test_no_backend_pods_available(fleet):
    picker = Picker(fleet, [])
    assert refused(picker.ask(request_headers({"content-type": "application/json"}.items(), True))) == \
        (500, "inference error: Internal - no pods available in datastore", {})


def test_answers_alone_as_upstream_expects_them(fleet, engines):
    picker = Picker(fleet, [engines()])
    json_head = {"content-type": "application/json"}
    whole = b'{"max_tokens":100,"model":"sql-lora-sheddable","prompt":"test6","temperature":0}'
    for pieces, wanted in (
        ([whole[:30], whole[30:]], whole),  # response buffering: multi-chunk JSON
        ([b"no healthy upstream"], b"no healthy upstream"),  # response buffering: invalid JSON
        ([whole, b""], whole),  # response buffering: empty EOS chunk (JSON)
    ):
        bodies = [response_body(piece, index == len(pieces) - 1) for index, piece in enumerate(pieces)]
        head, body = picker.ask(response_headers(json_head.items()), *bodies)
        assert set_headers(head.response_headers.response.header_mutation) == \
            {"x-went-into-resp-headers": "true", **json_head}
        streamed = body.response_body.response.body_mutation.streamed_response
        assert (streamed.body, streamed.end_of_stream) == (wanted, True)
    # response streaming: SSE token counting
    pieces = [b"data: {}",
              b'data: {"usage":{"prompt_tokens":7,"total_tokens":17,"completion_tokens":10}}\ndata: [DONE]', b""]
    sse_head = {"content-type": "text/event-stream", "status": "200"}
    bodies = [response_body(piece, index == 2) for index, piece in enumerate(pieces)]
    head, *answers = picker.ask(response_headers(sse_head.items()), *bodies)
    assert set_headers(head.response_headers.response.header_mutation) == \
        {"x-went-into-resp-headers": "true", **sse_head}
    streamed = [answer.response_body.response.body_mutation.streamed_response for answer in answers]
    assert [piece.body for piece in streamed] == pieces
    assert [piece.end_of_stream for piece in streamed] == [False, False, True]


def test_scores_are_told_with_the_flag_only(fleet, engines):
    made = [engines(waiting=3), engines(), engines(waiting=10)]
    with_flag = Picker(fleet, made, "--emit-endpoint-scores")
    answers = with_flag.ask(*llm("x"))
    scores = dict(answers[0].dynamic_metadata["envoy.lb"]["x-gateway-destination-endpoint-scores"].items())
    assert set(scores) == set(with_flag.addresses)
    assert max(scores, key=scores.get) == routed(answers) == with_flag.addresses[1]
    without = Picker(fleet, made)
    answers = without.ask(*llm("x"))
    assert "x-gateway-destination-endpoint-scores" not in dict(answers[0].dynamic_metadata["envoy.lb"].items())


def test_an_end_told_by_trailers_is_an_end(fleet, engines):
    """llm-d never answers such a request."""
    picker = Picker(fleet, [engines()])
    head, body = llm("x")
    body.request_body.end_of_stream = False
    answers = picker.ask(head, body, request_trailers())
    assert [part_of(answer) for answer in answers] == ["request_headers", "request_body", "request_trailers"]
    assert not answers[1].request_body.response.body_mutation.streamed_response.end_of_stream


def test_what_steers_endpoints_is_removed_without_a_body_too(fleet, engines):
    picker = Picker(fleet, [engines()])
    steering = {"x-prefiller-host-port": "10.0.0.9:22", "x-llmd-x": "1"}
    (answer,) = picker.ask(request_headers({":path": "/v1/models", **steering}.items(), end_of_stream=True))
    assert set(answer.request_headers.response.header_mutation.remove_headers) == set(steering)


def test_a_gRPC_answer_ends_with_its_trailers(fleet, engines):
    picker = Picker(fleet, [engines()])
    answers = picker.ask(*llm("x"), response_headers({":status": "200", "content-type": "application/grpc"}.items()),
                         response_body(b"\0\0\0\0\2ab", end_of_stream=False), response_trailers())
    assert [part_of(answer) for answer in answers[-3:]] == ["response_headers", "response_body", "response_trailers"]
    streamed = answers[-2].response_body.response.body_mutation.streamed_response
    assert (streamed.body, streamed.end_of_stream) == (b"\0\0\0\0\2ab", False)


def test_large_bodies_come_back_in_pieces(fleet, engines):
    picker = Picker(fleet, [engines()])
    prompt = "0123456789" * 30_000
    answers = picker.ask(*llm(prompt))
    routed(answers, prompt=prompt)
    assert len(answers) == 1 + 5


def test_conditional_decode_is_refused_where_nothing_is_cached(fleet, engines):
    picker = Picker(fleet, [engines()])
    prompt = "words that repeat " * 100
    status, body, _ = refused(picker.ask(*llm(prompt, prefer="if-available")))
    assert (status, body.split(" - ")[0]) == (412, "inference error: PreconditionFailed")
    picker.ask(*llm(prompt))
    answers = picker.ask(*llm(prompt, prefer="if-available"))
    assert part_of(answers[0]) == "request_headers"


def test_compressed_messages_and_the_health_service(fleet, engines):
    picker = Picker(fleet, [engines()], "--health-checking")
    assert routed(picker.ask(*llm("x" * 1000), gzip=True)) == picker.addresses[0]
    for port in (picker.port, picker.health_port):
        with StockClient(port) as client:
            for service in ("", "liveness", "readiness", "envoy.service.ext_proc.v3.ExternalProcessor"):
                assert client.check(service) == SERVING
            assert set(client.list()) == {"", "liveness", "readiness", "envoy.service.ext_proc.v3.ExternalProcessor"}
            with pytest.raises(grpc.RpcError) as unimplemented:
                list(client.watch())
            assert unimplemented.value.code() == grpc.StatusCode.UNIMPLEMENTED
    picker.process.process.terminate()
    picker.process.wait()


def test_readiness_goes_when_it_drains(fleet, engines):
    picker = Picker(fleet, [engines()], "--drain-timeout", "2s")
    picker.process.process.terminate()
    with StockClient(picker.health_port) as client:
        wait_for(lambda: client.check("readiness") == NOT_SERVING, "not ready")
        assert client.check("liveness") == SERVING
    assert routed(picker.ask(*llm("x"))) == picker.addresses[0]
    assert picker.process.wait() == 0


def test_messages_that_make_no_sense_end_their_stream_alone(fleet, engines):
    picker = Picker(fleet, [engines()])
    ended = response_headers({":status": "200"}.items(), end_of_stream=True)
    picked = ["request_headers", "request_body"]
    internal = grpc.StatusCode.INTERNAL
    for requests, wanted_parts, wanted_code in (
        ([*llm("x"), request_body(b"more")], picked, internal),
        ([llm("x")[0], *llm("x")], [], internal),
        ([*llm("x"), ended, response_body(b"x")], [*picked, "response_headers"], internal),
        ([ended, *llm("x")], ["response_headers"], internal),
        ([request_headers([("a", "b")] * 5_000), request_body(b"{}")], [], grpc.StatusCode.INVALID_ARGUMENT),
        ([*llm("x"), response_headers([("a", "b")] * 50_000)], picked, grpc.StatusCode.INVALID_ARGUMENT),
        ([ProcessingRequest()], [], grpc.StatusCode.OK),
        ([request_body(b"{}")], ["immediate_response"], grpc.StatusCode.OK),
        ([request_trailers()], ["immediate_response"], grpc.StatusCode.OK),
        ([response_trailers()], ["response_trailers"], grpc.StatusCode.OK),
    ):
        parts = []
        with StockClient(picker.port) as client:
            call = client.process(requests)
            try:
                parts.extend(part_of(answer) for answer in call)
            except grpc.RpcError:
                pass
            assert (parts, call.code()) == (wanted_parts, wanted_code), [part_of(each) for each in requests]
    assert routed(picker.ask(*llm("x"))) == picker.addresses[0]
    wait_for(lambda: metric(picker.process, "llmd_epp_streams") == 0, "all streams ended")
    assert metric(picker.process, "llmd_budget_used_bytes") < 10_000_000


def test_a_request_moves_to_the_endpoint_that_served_it(fleet, engines):
    """After an Envoy retry llm-d goes on counting the request at its first choice."""
    picker = Picker(fleet, [engines(), engines(waiting=1)], config=CONFIG.replace("{endpoints_max}", "2"))
    answers = picker.ask(*llm("x"))
    listed = routed(answers).split(",")
    assert set(listed) == set(picker.addresses)
    served = {"envoy.lb": {"x-gateway-destination-endpoint-served": listed[1]}}
    picker.ask(*llm("x"), response_headers({":status": "200"}.items(), metadata=served), response_body(b"{}"))
    assert metric(picker.process, "llmd_epp_served_elsewhere_total") == 1


# path, body: each names the model m in its own way, or needs none
PARSED = {
    "chat": ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    "completions": ("/v1/completions", {"model": "m", "prompt": "hi"}),
    "responses": ("/v1/responses", {"model": "m", "input": "hi"}),
    "embeddings": ("/v1/embeddings", {"model": "m", "input": ["a", "b"]}),
    "anthropic": ("/v1/messages", {"model": "m", "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]}),
    "vllm": ("/inference/v1/generate", {"model": "m", "token_ids": [1, 2, 3], "sampling_params": {}}),
    "passthrough": ("/anything/else", {"no": "model"}),
}


@pytest.mark.parametrize("name", PARSED)
def test_every_default_parser_picks(fleet, engines, name):
    path, body = PARSED[name]
    picker = Picker(fleet, [engines()])
    head = request_headers({":path": path, "hi": "mom", "x-request-id": ID}.items())
    head_answer, *bodies = picker.ask(head, request_body(json.dumps(body).encode()))
    given = set_headers(head_answer.request_headers.response.header_mutation)
    assert given[DESTINATION] == picker.addresses[0] and given[":path"] == path
    streamed = b"".join(each.request_body.response.body_mutation.streamed_response.body for each in bodies)
    assert streamed == json.dumps(body).encode()


def test_counted_tokens_skip_the_answer(fleet, engines):
    picker = Picker(fleet, [engines()])
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    with StockClient(picker.port) as client:
        call = client.process([request_headers({":path": "/v1/messages/count_tokens"}.items()), request_body(body)])
        assert [part_of(answer) for answer in call] == ["request_headers", "request_body"]
        assert call.code() == grpc.StatusCode.OK


REPORTER = CONFIG.replace("schedulingProfiles:", """- type: request-attribute-reporter
  parameters:
    attributes:
    - key: {{namespace: envoy.lb, name: cost}}
      expression: usage.prompt_tokens + 2 * usage.completion_tokens
      condition: has(usage.completion_tokens)
schedulingProfiles:""")


@pytest.mark.parametrize("kind", ["buffered", "streamed", "trailers"])
def test_attributes_are_reported_with_the_last_piece(fleet, engines, kind):
    picker = Picker(fleet, [engines()], config=REPORTER)
    usage = b'{"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}}'
    if kind == "buffered":
        head = response_headers({":status": "200", "content-type": "application/json"}.items())
        answers = picker.ask(*llm("x"), head, response_body(usage))
    elif kind == "trailers":
        head = response_headers({":status": "200", "content-type": "application/json"}.items())
        answers = picker.ask(*llm("x"), head, response_body(usage, end_of_stream=False), response_trailers())
        assert part_of(answers.pop()) == "response_trailers"
    else:
        answers = picker.ask(*llm("x"), response_headers({":status": "200",
                                                          "content-type": "text/event-stream"}.items()),
                             response_body(b"data: {}\n\n", end_of_stream=False),
                             response_body(b"data: " + usage + b"\n\ndata: [DONE]\n\n", end_of_stream=False),
                             response_body(b""))
    assert answers[-1].dynamic_metadata["envoy.lb"]["cost"] == 27
    assert not answers[-2].dynamic_metadata.fields


def test_names_of_models_are_the_clients_however_the_answer_is_cut(fleet, engines):
    picker = Picker(fleet, [engines()])
    answer = b'{"id":"a","model":"target","choices":[{"text":"\\"model\\":\\"target\\" stays"}]}'
    head = response_headers({":status": "200", "content-type": "application/json"}.items())
    for cut in range(1, len(answer), 7):
        answers = picker.ask(*llm("x", "mine", "target"), head, response_body(answer[:cut], False),
                             response_body(answer[cut:]))
        got = answers[-1].response_body.response.body_mutation.streamed_response.body
        assert got == answer.replace(b'"model":"target",', b'"model":"mine",'), cut


def test_llm_ds_metrics_are_on_the_page(fleet, engines):
    picker = Picker(fleet, [engines()], "--refresh-prometheus-metrics-interval=100ms")
    page = httpx.get(f"http://{picker.process.metrics}/metrics").text
    for family in ("llm_d_epp_request_total", "inference_objective_request_total", "llm_d_epp_ready_endpoints",
                   "inference_pool_ready_pods", "llm_d_epp_plugin_duration_seconds",
                   "llm_d_epp_scheduler_e2e_duration_seconds"):
        assert f"# TYPE {family} " in page, family
    picker.ask(*llm("x", "mine", "target"), response_headers({":status": "200"}.items()),
               response_body(b'{"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}}'))
    page = httpx.get(f"http://{picker.process.metrics}/metrics").text
    labels = 'model_name="mine",target_model_name="target"'
    assert f'llm_d_epp_request_total{{{labels},fairness_id="default-flow",priority="0"}} 1' in page
    assert 'inference_objective_request_total{model_name="mine",target_model_name="target",priority="0"} 1' in page
    assert f'inference_objective_input_tokens_sum{{{labels}}} 7' in page
    assert f'llm_d_epp_request_output_tokens_sum{{{labels},fairness_id="default-flow",priority="0"}} 10' in page
    wait_for(lambda: metric(picker.process, "inference_pool_ready_pods") == 1, "the gauge of ready endpoints")
    assert 'llm_d_epp_plugin_duration_seconds_count{extension_point="Scorer",plugin_type="queue-scorer"' in page
    assert "llm_d_epp_response_processing_duration_seconds_count 1" in page
    assert metric(picker.process, "llm_d_epp_request_running") == 0


def test_debug_pages(fleet, engines):
    picker = Picker(fleet, [engines()])
    picker.ask(*llm("words that repeat " * 100))
    base = f"http://{picker.process.metrics}"
    states = httpx.get(f"{base}/debug/plugins/state").json()
    assert states["plugins"], states
    profile = httpx.get(f"{base}/debug/pprof/profile?seconds=1", timeout=20)
    assert profile.status_code == 200 and len(profile.content) > 100
    assert httpx.get(f"{base}/debug/pprof/profile?seconds=600").status_code == 400
    assert httpx.get(f"{base}/nothing").status_code == 404
    assert httpx.post(f"{base}/metrics").status_code == 405


def test_a_head_that_is_too_long_is_refused(fleet, engines):
    picker = Picker(fleet, [engines()])
    head = request_headers({"hi": "x" * 1_100_000, "x-request-id": ID}.items())
    status, body, _ = refused(picker.ask(head))
    assert status == 431, body


def test_stock_client_over_tls(fleet, engines):
    picker = Picker(fleet, [engines()], "--secure-serving=true")
    root = server_certificate(picker.port)
    answers = picker.ask(*llm("x" * 200_000), root=root, server_name="localhost")
    assert routed(answers) == picker.addresses[0]
