#include "flags/worker_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "flags/shared_flags.h"
#include "kvtransfer/peer_list.h"
#include "net/address.h"

namespace llmd::flags {
namespace {

constexpr std::uint32_t kStepTokensMax = 4'096;  // rows of one decode: llamacpp::Context::kRowsMax

std::vector<CLI::Option*> add_engine_flags(CLI::App& app, WorkerFlags& flags) {
  return {
      app.add_option("--max-waiting", flags.waiting_max, "Requests that may wait; beyond them 429")
          ->check(CLI::Range(1U, 1'000'000U))
          ->capture_default_str(),
      app.add_option("--step-tokens", flags.step_tokens, "Tokens of one engine step, at most")
          ->check(CLI::Range(16U, kStepTokensMax))
          ->capture_default_str(),
      in_range(app.add_option(
                   "--tpot-target", flags.tpot_target_ms,
                   "Milliseconds between tokens that prompts of others may cause; 0: 1.75 times what decoding takes"),
               0, 60'000),
      app.add_option("--gpu-layers", flags.gpu_layers, "Layers on the GPU, in builds with LLMD_CUDA")
          ->check(CLI::Range(0, 10'000)),
      app.add_option("--pooling", flags.pooling, "Of embeddings; model: what the file says")
          ->check(CLI::IsMember({"model", "none", "mean", "cls", "last"}))
          ->capture_default_str(),
      app.add_option("--chat-template", flags.chat_template_path, "Jinja file instead of the model's own template"),
  };
}

std::vector<CLI::Option*> add_kv_flags(CLI::App& app, KvFlags& kv) {
  return {
      app.add_option("--kv-listen", kv.listen,
                     "Where decode workers fetch blocks: HOST:PORT, unix:PATH, none, or auto (prefill workers only)")
          ->capture_default_str(),
      app.add_option("--kv-advertise", kv.advertise,
                     "Host that decode workers are told, if it is not that of --kv-listen"),
      app.add_option("--kv-peers", kv.peers,
                     "From whom blocks may be pulled: HOST, HOST:PORT, NETWORK/BITS, unix:/path or unix:/folder/ "
                     "(default: this machine)")
          ->delimiter(','),
      add_seconds(app, "--kv-lease", kv.lease, {1, 3'600},
                  "Seconds that a prefill worker keeps blocks for their decode worker"),
      add_milliseconds(app, "--kv-pull-timeout", kv.pull_timeout, {1, 600'000},
                       "Milliseconds that a pull of blocks may take; then the prompt is computed here"),
  };
}

void append(std::vector<CLI::Option*>& all, std::vector<CLI::Option*> more) {
  all.insert(all.end(), more.begin(), more.end());
}

bool is_wildcard(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

Result<void> check_kv_flags(const KvFlags& kv) {
  if (kv.listen != "auto" && kv.listen != "none") {
    const auto listen = net::Address::parse(kv.listen);
    if (!listen) return fail(listen.error().code, fmt::format("--kv-listen: {}", listen.error().what));
    if (is_wildcard(kv.advertise.empty() ? listen->host : kv.advertise)) {
      return fail(ErrorCode::kConfigInvalid,
                  fmt::format("--kv-listen {} names no host that a decode worker could connect to", kv.listen),
                  "give --kv-advertise HOST");
    }
  }
  const auto peers = kvtransfer::PeerList::parse(kv.peers);
  if (!peers) return fail(peers.error().code, fmt::format("--kv-peers: {}", peers.error().what), peers.error().hint);
  return {};
}

}  // namespace

std::vector<CLI::Option*> add_memory_flags(CLI::App& app, MemoryFlags& flags) {
  return {
      as_bytes(app.add_option("--kv-memory", flags.kv_bytes,
                              "Memory for the KV of running sequences, as 1GiB; 0: chosen by the model")),
      as_bytes(app.add_option("--store-memory", flags.store_bytes,
                              "Memory for the prefix cache, as 2GiB; 0 turns it off (default: 1GiB, or what is left)")),
      app.add_option("--context", flags.context_tokens, "Longest prompt and output in tokens; 0: the model's own")
          ->check(CLI::Range(0U, 16'777'216U)),
      app.add_flag("--allow-long-context", flags.allow_long_context,
                   "Take a --context beyond what the model was trained for"),
      app.add_option("--max-running", flags.running_max, "Sequences that run at once, at most")
          ->check(CLI::Range(1U, 256U))
          ->capture_default_str(),
      app.add_option("--numerics", flags.numerics,
                     "exact: the same answer whatever shares the batch; fast: also kernels that round by batch size")
          ->check(CLI::IsMember({"exact", "fast"}))
          ->capture_default_str(),
      app.add_option("--weights", flags.weights,
                     "packed: copied in the order in which products read them; mapped: read from the file, whose "
                     "memory workers share; auto: packed where the copies fit well")
          ->check(CLI::IsMember({"auto", "packed", "mapped"}))
          ->capture_default_str(),
  };
}

std::vector<CLI::Option*> add_worker_flags(CLI::App& app, WorkerFlags& flags) {
  std::vector<CLI::Option*> all{
      app.add_option("--served-model-name", flags.served_names,
                     "Names that clients may use; the first one stands in answers (default: the file's name)")};
  append(all, add_memory_flags(app, flags));
  append(all, add_engine_flags(app, flags));
  append(all, add_kv_flags(app, flags.kv));
  return all;
}

Result<void> check_memory_flags(const MemoryFlags& flags) {
  if (flags.numerics == "exact" || flags.weights == "auto") return {};
  return fail(ErrorCode::kConfigInvalid,
              fmt::format("--weights {} is of --numerics exact; fast has orders of its own", flags.weights),
              "leave one of them out");
}

Result<void> check_worker_flags(const WorkerFlags& flags) {
  constexpr std::size_t kNameBytesMax = 256;
  for (const std::string& name : flags.served_names) {
    if (name.empty() || name.size() > kNameBytesMax) {
      return fail(ErrorCode::kConfigInvalid, fmt::format("--served-model-name: a name has {} bytes; expected 1 to {}",
                                                         name.size(), kNameBytesMax));
    }
  }
  LLMD_TRY_VOID(check_memory_flags(flags));
  return check_kv_flags(flags.kv);
}

std::vector<std::string> given_arguments(const std::vector<CLI::Option*>& options) {
  std::vector<std::string> arguments;
  for (const CLI::Option* option : options) {
    for (const std::string& value : option->results()) {
      arguments.push_back(option->get_name());
      if (option->get_items_expected_max() > 0) arguments.push_back(value);  // else a flag without value
    }
  }
  return arguments;
}

}  // namespace llmd::flags
