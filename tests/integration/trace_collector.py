"""An OpenTelemetry collector of the tests' own: grpcio with OpenTelemetry's published definitions."""

from concurrent import futures

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2


class TraceCollector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self):
        self.requests: list[trace_service_pb2.ExportTraceServiceRequest] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(self, request, context):  # noqa: N802 - the service's name
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait(5)

    def spans(self, name: str) -> list[trace_pb2.Span]:
        """Those of this name, by their end."""
        found = [span for request in self.requests for of_resource in request.resource_spans
                 for of_scope in of_resource.scope_spans for span in of_scope.spans if span.name == name]
        return sorted(found, key=lambda span: span.end_time_unix_nano)

    @staticmethod
    def attributes(holder) -> dict:
        return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes}

    @property
    def resource(self) -> dict:
        return self.attributes(self.requests[0].resource_spans[0].resource)
