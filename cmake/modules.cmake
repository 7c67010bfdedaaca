# The one table of modules and allowed edges. An include of another module's header, or a link to it, that is not
# listed here fails the tidy test. The order is the order of the design's tree: a module uses only modules above it.
#
#   llmd_declare_module(<layer>/<name> [USES module...] [THIRD_PARTY library...])
#
# THIRD_PARTY names the libraries whose headers the module owns (may include); tools/tidy.py knows their include prefixes.

# core: decides. Pure: no I/O, no thread, no clock.
llmd_declare_module(core/base       USES THIRD_PARTY fmt xxhash crypto)
llmd_declare_module(core/model      USES base THIRD_PARTY fmt)
llmd_declare_module(core/prefix     USES base model)
llmd_declare_module(core/kvpolicy   USES base model)
llmd_declare_module(core/forecast   USES base THIRD_PARTY eigen)
llmd_declare_module(core/scheduling USES base model prefix forecast THIRD_PARTY fmt)
llmd_declare_module(core/modelroute USES base THIRD_PARTY fmt)
llmd_declare_module(core/flow       USES base model scheduling THIRD_PARTY fmt)
llmd_declare_module(core/health     USES base model)
llmd_declare_module(core/cel        USES base THIRD_PARTY fmt)
llmd_declare_module(core/reporting  USES base cel THIRD_PARTY fmt)
llmd_declare_module(core/batching   USES base model)
llmd_declare_module(core/pd         USES base model THIRD_PARTY fmt)
llmd_declare_module(core/simulation USES base model prefix kvpolicy scheduling flow health batching pd THIRD_PARTY fmt)

# host: does. Owns sockets, files, threads and third-party headers.
llmd_declare_module(host/telemetry  USES base THIRD_PARTY fmt)
llmd_declare_module(host/config     USES base model reporting scheduling modelroute flow batching simulation telemetry THIRD_PARTY fmt yaml)
llmd_declare_module(host/runtime    USES base telemetry THIRD_PARTY fmt asio)
llmd_declare_module(host/net        USES base telemetry runtime THIRD_PARTY fmt asio nghttp2 tls)
llmd_declare_module(host/rpc        USES base telemetry runtime net THIRD_PARTY fmt asio zlib)
llmd_declare_module(host/profiling  USES base telemetry runtime THIRD_PARTY fmt asio)
llmd_declare_module(host/exporters  USES base telemetry THIRD_PARTY fmt)
llmd_declare_module(host/tracing    USES base telemetry runtime net rpc exporters THIRD_PARTY fmt)
llmd_declare_module(host/llamacpp   USES base model telemetry THIRD_PARTY fmt llama nlohmann)
llmd_declare_module(host/api        USES base model pd THIRD_PARTY fmt simdjson nlohmann)
llmd_declare_module(host/tokenizer  USES base model llamacpp api THIRD_PARTY fmt)
llmd_declare_module(host/kvstore    USES base model kvpolicy telemetry THIRD_PARTY fmt)
llmd_declare_module(host/kvevents   USES base model telemetry config THIRD_PARTY fmt zmq)
llmd_declare_module(host/kvtransfer USES base model telemetry runtime net kvstore THIRD_PARTY fmt asio xxhash)
llmd_declare_module(host/flags      USES base model scheduling telemetry config net kvtransfer THIRD_PARTY fmt cli11)
llmd_declare_module(host/pool       USES base model health telemetry runtime net config api THIRD_PARTY fmt asio yaml)
llmd_declare_module(host/kube       USES base telemetry runtime net THIRD_PARTY fmt asio simdjson nlohmann yaml crypto)
llmd_declare_module(host/discovery  USES base model telemetry runtime net pool kube THIRD_PARTY fmt asio simdjson resolv)
llmd_declare_module(host/eppmetrics USES base model scheduling flow telemetry THIRD_PARTY fmt)
llmd_declare_module(host/engine     USES base model batching simulation telemetry runtime llamacpp kvstore THIRD_PARTY fmt asio)
llmd_declare_module(host/routing    USES base model prefix scheduling flow health pd telemetry config runtime api tokenizer pool eppmetrics THIRD_PARTY fmt)
llmd_declare_module(host/dispatch   USES base model pd health telemetry runtime net api pool routing THIRD_PARTY fmt asio)
llmd_declare_module(host/admin      USES base model scheduling telemetry runtime net api pool routing THIRD_PARTY fmt asio nlohmann)

# apps: one folder a command. No app links another, except that `up` hosts the gateway.
llmd_declare_module(apps/gateway USES base model scheduling modelroute flow telemetry config runtime net exporters llamacpp api tokenizer flags pool discovery routing dispatch admin
                                 THIRD_PARTY fmt asio cli11)
llmd_declare_module(apps/epp     USES base model scheduling flow health reporting telemetry config runtime net rpc profiling tracing eppmetrics exporters api flags pool kube discovery routing admin
                                 THIRD_PARTY fmt asio cli11)
llmd_declare_module(apps/sidecar USES base model scheduling pd telemetry config runtime net exporters api flags pool discovery
                                 THIRD_PARTY fmt asio cli11)
llmd_declare_module(apps/worker  USES base model batching simulation telemetry config runtime net exporters llamacpp api tokenizer kvstore kvevents kvtransfer flags engine
                                 THIRD_PARTY fmt asio cli11 nlohmann)
llmd_declare_module(apps/up      USES base model pd telemetry config runtime net llamacpp tokenizer flags pool engine routing gateway
                                 THIRD_PARTY fmt asio cli11)
llmd_declare_module(apps/chat    USES base telemetry runtime net flags THIRD_PARTY fmt asio cli11 nlohmann)
llmd_declare_module(apps/top     USES base telemetry runtime net flags THIRD_PARTY fmt asio cli11 nlohmann)
llmd_declare_module(apps/explain USES base telemetry runtime net flags THIRD_PARTY fmt asio cli11 nlohmann)
llmd_declare_module(apps/sim     USES base model forecast scheduling flow batching simulation telemetry config runtime net api flags THIRD_PARTY fmt asio cli11 nlohmann)
llmd_declare_module(apps/config_tool USES base telemetry config runtime net flags THIRD_PARTY fmt asio cli11 nlohmann)
llmd_declare_module(apps/doctor  USES base model telemetry runtime net llamacpp flags engine THIRD_PARTY fmt asio cli11)
