#include <fmt/format.h>

#include <cstdio>
#include <string_view>
#include <utility>

#if __has_include("apps/up/up.h")
#include "apps/up/up.h"
#define LLMD_HAS_UP 1
#endif
#if __has_include("apps/gateway/gateway.h")
#include "apps/gateway/gateway.h"
#define LLMD_HAS_GATEWAY 1
#endif
#if __has_include("apps/epp/epp.h")
#include "apps/epp/epp.h"
#define LLMD_HAS_EPP 1
#endif
#if __has_include("apps/sidecar/sidecar.h")
#include "apps/sidecar/sidecar.h"
#define LLMD_HAS_SIDECAR 1
#endif
#if __has_include("apps/worker/worker.h")
#include "apps/worker/worker.h"
#define LLMD_HAS_WORKER 1
#endif
#if __has_include("apps/chat/chat.h")
#include "apps/chat/chat.h"
#define LLMD_HAS_CHAT 1
#endif
#if __has_include("apps/top/top.h")
#include "apps/top/top.h"
#define LLMD_HAS_TOP 1
#endif
#if __has_include("apps/explain/explain.h")
#include "apps/explain/explain.h"
#define LLMD_HAS_EXPLAIN 1
#endif
#if __has_include("apps/config_tool/config_tool.h")
#include "apps/config_tool/config_tool.h"
#define LLMD_HAS_CONFIG 1
#endif
#if __has_include("apps/sim/sim.h")
#include "apps/sim/sim.h"
#define LLMD_HAS_SIM 1
#endif
#if __has_include("apps/doctor/doctor.h")
#include "apps/doctor/doctor.h"
#define LLMD_HAS_DOCTOR 1
#endif

#ifndef LLMD_VERSION
#define LLMD_VERSION "unknown"
#endif

namespace {

struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(int argc, char** argv);  // argv[0] is the command's name
};

constexpr Command kCommands[] = {
#ifdef LLMD_HAS_UP
    {"up", "serve a model on this machine: gateway, scheduler and workers", llmd::up_main},
#endif
#ifdef LLMD_HAS_GATEWAY
    {"gateway", "OpenAI-compatible front door with the scheduler inside", llmd::gateway_main},
#endif
#ifdef LLMD_HAS_EPP
    {"epp", "endpoint picker for Envoy, in the place of llm-d's", llmd::epp_main},
#endif
#ifdef LLMD_HAS_SIDECAR
    {"sidecar", "P/D routing proxy beside a decode engine, in the place of llm-d's", llmd::sidecar_main},
#endif
#ifdef LLMD_HAS_WORKER
    {"worker", "one engine behind an OpenAI API", llmd::worker_main},
#endif
#ifdef LLMD_HAS_CHAT
    {"chat", "talk to a server in the terminal", llmd::chat_main},
#endif
#ifdef LLMD_HAS_TOP
    {"top", "live endpoints, rates and hit rate", llmd::top_main},
#endif
#ifdef LLMD_HAS_EXPLAIN
    {"explain", "why a request went where it went", llmd::explain_main},
#endif
#ifdef LLMD_HAS_SIM
    {"sim", "compare scheduling policies on a fleet in virtual time", llmd::sim_main},
#endif
#ifdef LLMD_HAS_CONFIG
    {"config", "validate, show, compare and roll back configurations", llmd::config_main},
#endif
#ifdef LLMD_HAS_DOCTOR
    {"doctor", "check ports, memory, model file and CPU", llmd::doctor_main},
#endif
};

/// Names that the binary may be called by, and the command that it then is.
constexpr std::pair<std::string_view, std::string_view> kPrograms[] = {{"epp", "epp"}, {"pd-sidecar", "sidecar"}};

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

void print_help(std::FILE* out) {
  fmt::print(out, "llmd {}: distributed LLM inference\n\nusage: llmd COMMAND [OPTIONS]\n\ncommands:\n", LLMD_VERSION);
  for (const Command& command : kCommands) fmt::print(out, "  {:<10} {}\n", command.name, command.summary);
  fmt::print(out, "\nllmd COMMAND --help shows a command's options; llmd --version the version.\n");
}

}  // namespace

int main(int argc, char** argv) {
  // As llm-d's images call their programs.
  std::string_view called = argv[0];
  called.remove_prefix(called.rfind('/') + 1);
  for (const auto& [program, command] : kPrograms) {
    if (called != program) continue;
    const auto* const found = find_command(command);
    if (found != nullptr) return found->run(argc, argv);
  }
  if (argc < 2) {
    print_help(stderr);
    return 2;
  }
  const std::string_view name = argv[1];
  if (name == "--version" || name == "version") {
    fmt::print("llmd {}\n", LLMD_VERSION);
    return 0;
  }
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(stdout);
    return 0;
  }
  if (const Command* const found = find_command(name); found != nullptr) return found->run(argc - 1, argv + 1);
  fmt::print(stderr, "llmd: no command \"{}\"; llmd --help lists them\n", name.substr(0, 64));
  return 2;
}
