"""An OpenTelemetry collector of the tests' own: grpcio with OpenTelemetry's published definitions.

It is a process of its own, which ends with its standard input: gRPC's threads do not stand the forks of other tests."""

import struct
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2


class Service(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, path: Path):
        self._file = path.open("ab", buffering=0)

    def Export(self, request, context):  # noqa: N802 - the service's name
        wire = request.SerializeToString()
        self._file.write(struct.pack(">I", len(wire)) + wire)
        return trace_service_pb2.ExportTraceServiceResponse()


class TraceCollector:
    def __init__(self, folder: Path):
        self._path = folder / "spans.bin"
        self._process = subprocess.Popen([sys.executable, __file__, str(self._path)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.communicate(timeout=20)

    def requests(self) -> list[trace_service_pb2.ExportTraceServiceRequest]:
        left = self._path.read_bytes()
        found = []
        while left:
            size = struct.unpack(">I", left[:4])[0]
            found.append(trace_service_pb2.ExportTraceServiceRequest.FromString(left[4:4 + size]))
            left = left[4 + size:]
        return found

    def spans(self, name: str) -> list[trace_pb2.Span]:
        """Those of this name, by their end."""
        found = [span for request in self.requests() for of_resource in request.resource_spans
                 for of_scope in of_resource.scope_spans for span in of_scope.spans if span.name == name]
        return sorted(found, key=lambda span: span.end_time_unix_nano)

    @staticmethod
    def attributes(holder) -> dict:
        return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes}

    @property
    def resource(self) -> dict:
        return self.attributes(self.requests()[0].resource_spans[0].resource)


def main(path: str) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(Path(path)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None).wait(5)


if __name__ == "__main__":
    main(*sys.argv[1:])
