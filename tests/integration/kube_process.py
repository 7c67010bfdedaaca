"""A real kube-apiserver on a real etcd (tools/kube_env.sh), with certificates, users and RBAC made for the test.

There is no kubelet and no scheduler: pods are what the test posts, with the status that it patches."""

import ctypes
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx

SOURCE_DIR = Path(__file__).resolve().parents[2]
CRDS = SOURCE_DIR / "deploy" / "crds"
START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 20.0
GROUP = "inference.networking.k8s.io"
OLD_GROUP = "inference.networking.x-k8s.io"
LLM_D_GROUP = "llm-d.ai"

# name -> (token, groups). `reader` may read what an endpoint picker reads, `nobody` may do nothing.
USERS = {
    "admin": ("admin-token", ["system:masters"]),
    "reader": ("reader-token", []),
    "nobody": ("nobody-token", []),
}


def kube_binaries() -> Path:
    made = subprocess.run([str(SOURCE_DIR / "tools" / "kube_env.sh")], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.strip())


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, check=True, capture_output=True)


class Authority:
    """A certificate authority of the test's own, and what it signs."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self._key = folder / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", "/CN=llmd-test", "-keyout", str(self._key), "-out", str(self.certificate))

    def sign(self, name: str, subject: str, extensions: str) -> tuple[Path, Path]:
        """Certificate and key, of this authority, valid for two days."""
        key, request, certificate = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        config = self.folder / f"{name}.ext"
        config.write_text(extensions)
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
                 "-keyout", str(key), "-out", str(request))
        _openssl("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._key),
                 "-CAcreateserial", "-days", "2", "-extfile", str(config), "-out", str(certificate))
        return certificate, key


class Kube:
    """One API server. `api` speaks to it as admin; `kubeconfig(user)` lets a client do so."""

    def __init__(self, folder: Path, *arguments: str):
        """`arguments` are further ones of the API server."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._binaries = kube_binaries()
        self._arguments = list(arguments)
        self.authority = Authority(folder)
        self._certificate, self._key = self.authority.sign("serving", "/CN=kube-apiserver",
                                                           "subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        self._sa_key, self._sa_public = folder / "sa.key", folder / "sa.pub"
        _openssl("genrsa", "-out", str(self._sa_key), "2048")
        _openssl("rsa", "-in", str(self._sa_key), "-pubout", "-out", str(self._sa_public))
        self._tokens = folder / "tokens.csv"
        self._tokens.write_text("".join(f'{token},{name},{name},"{",".join(groups)}"\n'
                                        for name, (token, groups) in USERS.items()))
        self._processes: dict[str, subprocess.Popen] = {}
        self.etcd_port, self.port = _free_port(), _free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.api = self.client("admin")
        self._start_etcd()
        self.start_apiserver()
        self._install()

    # Processes.

    def _run(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [str(self._binaries / name), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)}, preexec_fn=_die_with_parent)

    def _log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def _wait(self, name: str, ready) -> None:
        end = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < end:
            assert self._processes[name].poll() is None, f"{name} has ended:\n{self._log(name)}"
            try:
                if ready():
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{name} is not ready within {START_DEADLINE_S} s:\n{self._log(name)}")

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{_free_port()}"
        self._run("etcd", "--name=test", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync",
                  f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
                  f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=test={peer}", "--log-level=warn")
        self._wait("etcd", lambda: httpx.get(f"{client}/health", timeout=5).status_code == 200)

    def start_apiserver(self) -> None:
        self._run("kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.etcd_port}", "--bind-address=127.0.0.1",
                  f"--secure-port={self.port}", f"--tls-cert-file={self._certificate}",
                  f"--tls-private-key-file={self._key}", f"--client-ca-file={self.authority.certificate}",
                  f"--token-auth-file={self._tokens}", f"--service-account-issuer={self.url}",
                  f"--service-account-key-file={self._sa_public}",
                  f"--service-account-signing-key-file={self._sa_key}", "--service-cluster-ip-range=10.0.0.0/24",
                  "--authorization-mode=RBAC", "--endpoint-reconciler-type=none",
                  "--disable-admission-plugins=ServiceAccount", "--shutdown-watch-termination-grace-period=1s",
                  f"--cert-dir={self.folder}", *self._arguments)
        self._wait("kube-apiserver", lambda: self.api.get("/readyz").status_code == 200)

    def stop_apiserver(self) -> None:
        self._stop("kube-apiserver")

    def _stop(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_DEADLINE_S)

    def compact(self) -> None:
        """etcd forgets all versions but the present one."""
        etcd = f"http://127.0.0.1:{self.etcd_port}/v3"
        revision = httpx.post(f"{etcd}/kv/range", json={"key": "AA=="}, timeout=10).json()["header"]["revision"]
        compaction = {"revision": revision, "physical": True}
        httpx.post(f"{etcd}/kv/compaction", json=compaction, timeout=30).raise_for_status()

    def close(self) -> None:
        """The API server first: without its etcd it does not end."""
        self.api.close()
        self._stop("kube-apiserver")
        self._stop("etcd")

    # Clients.

    def client(self, user: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=ssl.create_default_context(cafile=self.authority.certificate),
                            headers={"Authorization": f"Bearer {USERS[user][0]}"}, timeout=30)

    def kubeconfig(self, user: str, port: int | None = None, user_entry: dict | None = None) -> Path:
        """A file for `user`; `port`: of a proxy before the server; `user_entry`: how else to say who it is."""
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": f"https://127.0.0.1:{port or self.port}",
                "certificate-authority": str(self.authority.certificate)}}],
            "users": [{"name": user, "user": user_entry or {"token": USERS[user][0]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }
        path = self.folder / f"kubeconfig-{user}-{port or self.port}.json"
        path.write_text(json.dumps(config))
        return path

    def client_certificate(self, user: str, groups: tuple[str, ...] = ()) -> tuple[Path, Path]:
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        return self.authority.sign(f"client-{user}", subject, "extendedKeyUsage=clientAuth\n")

    # Objects.

    def ask(self, method: str, path: str, body: object = None, content_type: str = "application/json",
            expect: tuple[int, ...] = (200, 201, 202)) -> dict:
        content = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        answer = self.api.request(method, path, content=content, headers={"Content-Type": content_type})
        assert answer.status_code in expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def merge(self, path: str, patch: dict) -> dict:
        return self.ask("PATCH", path, patch, "application/merge-patch+json")

    def delete(self, path: str) -> None:
        """At once; what is not there is no error."""
        self.ask("DELETE", path, {"gracePeriodSeconds": 0}, expect=(200, 202, 404))

    def namespace(self, name: str) -> str:
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}}, expect=(201, 409))
        return name

    def _install(self) -> None:
        for path in sorted(CRDS.glob("*.yaml")):
            self.install_crd(path)
        rules = [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [GROUP, OLD_GROUP, LLM_D_GROUP], "verbs": ["get", "list", "watch"],
             "resources": ["inferencepools", "inferenceobjectives", "inferencemodelrewrites"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
             "verbs": ["get", "list", "watch", "create", "update", "patch"]},
        ]
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        self.ask("POST", f"{rbac}/clusterroles", {"metadata": {"name": "reader"}, "rules": rules})
        self.ask("POST", f"{rbac}/clusterrolebindings", {
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "reader"}]})
        self.namespace("default")

    def install_crd(self, path: Path) -> None:
        """Returns when its objects are served."""
        made = self.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", path.read_bytes(),
                        "application/yaml")
        spec = made["spec"]
        version = next(each["name"] for each in spec["versions"] if each["served"])
        url = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        end = time.monotonic() + START_DEADLINE_S
        while self.api.get(url).status_code != 200:
            assert time.monotonic() < end, f"{url} is not served"
            time.sleep(0.02)

    def pool(self, namespace: str, name: str, labels: dict[str, str], ports: list[int], **spec: object) -> str:
        """An InferencePool v1; its path."""
        folder = f"/apis/{GROUP}/v1/namespaces/{namespace}/inferencepools"
        self.ask("POST", folder, {
            "apiVersion": f"{GROUP}/v1", "kind": "InferencePool", "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": labels}, "targetPorts": [{"number": port} for port in ports],
                     "endpointPickerRef": {"name": "epp", "port": {"number": 9002}}, **spec}})
        return f"{folder}/{name}"

    def pod(self, namespace: str, name: str, labels: dict[str, str], ip: str = "", ready: bool = True,
            annotations: dict[str, str] | None = None) -> str:
        """A pod that runs at `ip`, as its kubelet would say; without `ip` it is pending. Its path."""
        folder = f"/api/v1/namespaces/{namespace}/pods"
        self.ask("POST", folder, {
            "metadata": {"name": name, "labels": labels, "annotations": annotations or {}},
            "spec": {"nodeName": "node", "containers": [{"name": "engine", "image": "engine"}]}})
        path = f"{folder}/{name}"
        if ip:
            self.set_status(path, ip, ready)
        return path

    def set_status(self, pod: str, ip: str, ready: bool = True) -> None:
        state = "True" if ready else "False"
        self.merge(f"{pod}/status", {"status": {
            "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": "127.0.0.1",
            "conditions": [{"type": "Ready", "status": state}]}})

    def objective(self, namespace: str, name: str, priority: int | None, pool: str, group: str = LLM_D_GROUP,
                  pool_group: str = GROUP) -> str:
        folder = f"/apis/{group}/v1alpha2/namespaces/{namespace}/inferenceobjectives"
        spec: dict = {"poolRef": {"group": pool_group, "name": pool}}
        if priority is not None:
            spec["priority"] = priority
        self.ask("POST", folder, {"apiVersion": f"{group}/v1alpha2", "kind": "InferenceObjective",
                                  "metadata": {"name": name}, "spec": spec})
        return f"{folder}/{name}"

    def rewrite(self, namespace: str, name: str, rules: list[dict], pool: str, group: str = LLM_D_GROUP,
                pool_group: str = GROUP) -> str:
        folder = f"/apis/{group}/v1alpha2/namespaces/{namespace}/inferencemodelrewrites"
        self.ask("POST", folder, {
            "apiVersion": f"{group}/v1alpha2", "kind": "InferenceModelRewrite", "metadata": {"name": name},
            "spec": {"poolRef": {"group": pool_group, "name": pool}, "rules": rules}})
        return f"{folder}/{name}"
