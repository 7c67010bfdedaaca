"""`llmd epp` with a real Kubernetes API server: what pools, pods, objectives and rewrites say takes effect."""

import itertools

import pytest

from kube_process import Kube


@pytest.fixture(scope="session")
def kube(tmp_path_factory):
    server = Kube(tmp_path_factory.mktemp("kube"))
    yield server
    server.close()


SPACES = (f"test-{number}" for number in itertools.count(1))


@pytest.fixture
def space(kube):
    """A namespace that no other test uses."""
    return kube.namespace(next(SPACES))


def test_the_server_serves_the_resources_to_who_may_read_them(kube, space):
    pool = kube.pool(space, "pool", {"app": "vllm"}, [8000])
    pod = kube.pod(space, "a", {"app": "vllm"}, "10.1.2.3")
    kube.objective(space, "batch", -1, "pool")
    kube.rewrite(space, "canary", [{"targets": [{"modelRewrite": "m2"}]}], "pool")
    with kube.client("reader") as reader, kube.client("nobody") as nobody:
        assert reader.get(pool).json()["spec"]["targetPorts"] == [{"number": 8000}]
        assert reader.get(pod).json()["status"]["podIP"] == "10.1.2.3"
        assert nobody.get(pod).status_code == 403
        assert reader.delete(pod).status_code == 403
    kube.delete(pod)
    with kube.client("reader") as reader:
        assert reader.get(pod).status_code == 404
