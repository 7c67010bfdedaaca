"""A stock gRPC client (grpcio) of Envoy's ext_proc and of gRPC's health service, against a port.

The messages are made from the field numbers of the published definitions (external_processor.proto of
envoy/service/ext_proc/v3, base.proto of envoy/config/core/v3, http_status.proto of envoy/type/v3, grpc/health/v1), so
that no compiler of definitions and no generated code is needed. Only what a test may want to send or see is there.
"""

import ssl
from collections.abc import Iterable, Iterator, Sequence

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

Field = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "string": Field.TYPE_STRING,
    "bytes": Field.TYPE_BYTES,
    "bool": Field.TYPE_BOOL,
    "int32": Field.TYPE_INT32,  # enumerations too: the same bytes
    "uint32": Field.TYPE_UINT32,
}
CORE = "envoy.config.core.v3"
PROC = "envoy.service.ext_proc.v3"
HEALTH = "grpc.health.v1"
STRUCT = ".google.protobuf.Struct"
# name -> "number name type" of each field. "*type" repeats, "<type" is a map from strings, "|type" is one of several.
MESSAGES: dict[str, dict[str, list[str]]] = {
    CORE: {
        "HeaderValue": ["1 key string", "2 value string", "3 raw_value bytes"],
        "HeaderValueOption": ["1 header .HeaderValue", "3 append_action int32", "4 keep_empty_value bool"],
        "HeaderMap": ["1 headers *.HeaderValue"],
        "Metadata": [f"1 filter_metadata <{STRUCT}"],
    },
    PROC: {
        "ProcessingRequest": [
            "2 request_headers |.HttpHeaders",
            "3 response_headers |.HttpHeaders",
            "4 request_body |.HttpBody",
            "5 response_body |.HttpBody",
            "6 request_trailers |.HttpTrailers",
            "7 response_trailers |.HttpTrailers",
            f"8 metadata_context .{CORE}.Metadata",
            f"9 attributes <{STRUCT}",
            "10 observability_mode bool",
        ],
        "ProcessingResponse": [
            "1 request_headers |.HeadersResponse",
            "2 response_headers |.HeadersResponse",
            "3 request_body |.BodyResponse",
            "4 response_body |.BodyResponse",
            "5 request_trailers |.TrailersResponse",
            "6 response_trailers |.TrailersResponse",
            "7 immediate_response |.ImmediateResponse",
            f"8 dynamic_metadata {STRUCT}",
        ],
        "HttpHeaders": [f"1 headers .{CORE}.HeaderMap", "3 end_of_stream bool"],
        "HttpBody": ["1 body bytes", "2 end_of_stream bool"],
        "HttpTrailers": [f"1 trailers .{CORE}.HeaderMap"],
        "HeadersResponse": ["1 response .CommonResponse"],
        "BodyResponse": ["1 response .CommonResponse"],
        "TrailersResponse": ["1 header_mutation .HeaderMutation"],
        "CommonResponse": [
            "1 status int32",
            "2 header_mutation .HeaderMutation",
            "3 body_mutation .BodyMutation",
            f"4 trailers .{CORE}.HeaderMap",
            "5 clear_route_cache bool",
        ],
        "ImmediateResponse": [
            "1 status .HttpStatus",  # envoy.type.v3.HttpStatus; names do not go over the wire
            "2 headers .HeaderMutation",
            "3 body bytes",
            "4 grpc_status .GrpcStatus",
            "5 details string",
        ],
        "HttpStatus": ["1 code int32"],
        "GrpcStatus": ["1 status uint32"],
        "HeaderMutation": [f"1 set_headers *.{CORE}.HeaderValueOption", "2 remove_headers *string"],
        "BodyMutation": ["1 body |bytes", "2 clear_body |bool", "3 streamed_response |.StreamedBodyResponse"],
        "StreamedBodyResponse": ["1 body bytes", "2 end_of_stream bool"],
    },
    HEALTH: {
        "HealthCheckRequest": ["1 service string"],
        "HealthCheckResponse": ["1 status int32"],
        "HealthListRequest": [],
        "HealthListResponse": ["1 statuses <.HealthCheckResponse"],
    },
}


def _full_name(package: str, name: str) -> str:
    return name if name.count(".") > 1 else f".{package}{name}"


def _add_field(message: descriptor_pb2.DescriptorProto, package: str, text: str) -> None:
    number, name, kind = text.split()
    field = message.field.add(name=name, number=int(number), label=Field.LABEL_OPTIONAL)
    mark = kind[0] if kind[0] in "*<|" else ""
    kind = kind.removeprefix(mark)
    if mark == "*":
        field.label = Field.LABEL_REPEATED
    elif mark == "|":
        if not message.oneof_decl:
            message.oneof_decl.add(name="one")
        field.oneof_index = 0
    elif mark == "<":  # as the wire has a map: entries of key and value
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, package, "1 key string")
        _add_field(entry, package, f"2 value {kind}")
        field.label, kind = Field.LABEL_REPEATED, f".{package}.{message.name}.{entry.name}"
    if kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type, field.type_name = Field.TYPE_MESSAGE, _full_name(package, kind)


def _load() -> dict[str, type]:
    pool = descriptor_pool.DescriptorPool()
    struct = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct)
    pool.Add(struct)
    classes = {}
    imports = [struct.name]
    for package, messages in MESSAGES.items():
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.proto", package=package, syntax="proto3", dependency=imports
        )
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for field in fields:
                _add_field(message, package, field)
        pool.Add(file)
        imports.append(file.name)
        for name in messages:
            classes[name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
    return classes


CLASSES = _load()
HeaderMap = CLASSES["HeaderMap"]
ProcessingRequest = CLASSES["ProcessingRequest"]
ProcessingResponse = CLASSES["ProcessingResponse"]

UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN = range(4)
Headers = Iterable[tuple[str, str]]


def header_map(headers: Headers):
    """As Envoy sends it: values in raw_value."""
    return HeaderMap(headers=[{"key": name, "raw_value": value.encode()} for name, value in headers])


def _head(part: str, headers: Headers, end_of_stream: bool, metadata: dict[str, dict] | None):
    request = ProcessingRequest(**{part: {"headers": header_map(headers), "end_of_stream": end_of_stream}})
    for namespace, values in (metadata or {}).items():
        request.metadata_context.filter_metadata[namespace].update(values)
    return request


def request_headers(headers: Headers, end_of_stream: bool = False, metadata: dict[str, dict] | None = None):
    """`metadata`: namespace -> values, of metadata_context.filter_metadata."""
    return _head("request_headers", headers, end_of_stream, metadata)


def response_headers(headers: Headers, end_of_stream: bool = False, metadata: dict[str, dict] | None = None):
    return _head("response_headers", headers, end_of_stream, metadata)


def request_body(body: bytes, end_of_stream: bool = True):
    return ProcessingRequest(request_body={"body": body, "end_of_stream": end_of_stream})


def response_body(body: bytes, end_of_stream: bool = True):
    return ProcessingRequest(response_body={"body": body, "end_of_stream": end_of_stream})


def request_trailers(headers: Headers = ()):
    return ProcessingRequest(request_trailers={"trailers": header_map(headers)})


def response_trailers(headers: Headers = ()):
    return ProcessingRequest(response_trailers={"trailers": header_map(headers)})


def part_of(message) -> str | None:
    """Which part a request or answer is of: "request_body", "immediate_response" and so on."""
    return message.WhichOneof("one")


def set_headers(mutation) -> dict[str, str]:
    """What a HeaderMutation sets."""
    return {option.header.key: option.header.raw_value.decode() for option in mutation.set_headers}


class StockClient:
    """Calls of one channel; close it, or use it in a `with`.

    `root`: PEM of what the server's certificate must be of; None is plain text. server_certificate() gives that of a
    server that signs itself. `server_name`: what the certificate must be for, if not `host`.
    """

    def __init__(
        self,
        port: int,
        host: str = "127.0.0.1",
        root: bytes | None = None,
        server_name: str | None = None,
        certificate: tuple[bytes, bytes] | None = None,
        gzip: bool = False,
        options: Sequence[tuple[str, object]] = (),
    ):
        settings = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), *options]
        compression = grpc.Compression.Gzip if gzip else None
        if root is None:
            self.channel = grpc.insecure_channel(f"{host}:{port}", settings, compression)
        else:
            if server_name:
                settings.append(("grpc.ssl_target_name_override", server_name))
            chain, key = certificate or (None, None)
            credentials = grpc.ssl_channel_credentials(root, key, chain)
            self.channel = grpc.secure_channel(f"{host}:{port}", credentials, settings, compression)

    def __enter__(self) -> "StockClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def close(self) -> None:
        self.channel.close()

    def process(self, requests: Iterable, timeout_s: float = 10.0, metadata: Headers = ()) -> Iterator:
        """An ext_proc stream. The call that is returned gives the answers, and code(), details() and cancel()."""
        method = self.channel.stream_stream(
            f"/{PROC}.ExternalProcessor/Process",
            request_serializer=ProcessingRequest.SerializeToString,
            response_deserializer=ProcessingResponse.FromString,
        )
        return method(iter(requests), timeout=timeout_s, metadata=tuple(metadata))

    def check(self, service: str = "", timeout_s: float = 10.0) -> int:
        method = self.channel.unary_unary(
            f"/{HEALTH}.Health/Check",
            request_serializer=CLASSES["HealthCheckRequest"].SerializeToString,
            response_deserializer=CLASSES["HealthCheckResponse"].FromString,
        )
        return method(CLASSES["HealthCheckRequest"](service=service), timeout=timeout_s).status

    def list(self, timeout_s: float = 10.0) -> dict[str, int]:
        method = self.channel.unary_unary(
            f"/{HEALTH}.Health/List",
            request_serializer=CLASSES["HealthListRequest"].SerializeToString,
            response_deserializer=CLASSES["HealthListResponse"].FromString,
        )
        statuses = method(CLASSES["HealthListRequest"](), timeout=timeout_s).statuses
        return {service: answer.status for service, answer in statuses.items()}

    def watch(self, service: str = "", timeout_s: float = 10.0) -> Iterator[int]:
        method = self.channel.unary_stream(
            f"/{HEALTH}.Health/Watch",
            request_serializer=CLASSES["HealthCheckRequest"].SerializeToString,
            response_deserializer=CLASSES["HealthCheckResponse"].FromString,
        )
        for answer in method(CLASSES["HealthCheckRequest"](service=service), timeout=timeout_s):
            yield answer.status


def server_certificate(port: int, host: str = "127.0.0.1") -> bytes:
    """What the server shows, as PEM: to be trusted as it is."""
    return ssl.get_server_certificate((host, port)).encode()
