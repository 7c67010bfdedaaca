#pragma once

#include <string>
#include <vector>

#include "apps/gateway/options.h"
#include "flags/command_line.h"
#include "flags/topology.h"
#include "flags/worker_flags.h"

namespace llmd::up {

/// The options of `llmd up`; docs/configuration.md explains each.
struct Options {
  std::string model;        // a GGUF file or the name of a fetched one; empty: the default model
  std::string models_path;  // a file of several; empty: `model` alone
  flags::Topology topology;
  bool tokenize_in_gateway = true;       // false: the gateway estimates, and each worker tokenises
  unsigned threads = 0;                  // of each worker; 0: cores / workers
  flags::WorkerFlags worker;             // of each worker
  std::vector<std::string> worker_args;  // the given ones as arguments, without memory; and logs and timeouts
  gateway::Options gateway;              // listen, config, limits, logs
};

using CommandLine = flags::CommandLine<Options>;

/// Reads the command line; argv[0] is the command's name. Does not look at files.
[[nodiscard]] CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace llmd::up
