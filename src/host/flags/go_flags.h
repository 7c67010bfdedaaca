#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <string>

#include "telemetry/log.h"

namespace llmd::flags {

/// Flags in the form of llm-d's programs, which are Go's: values that cannot be read are refused with an example of
/// one that can. What is passed must outlive the app; `shown` is the default as the help has it.

/// A duration as Go's flags take it: 50ms, 1m30s.
void add_go_duration(CLI::App& app, const std::string& name, std::chrono::milliseconds& value, const std::string& shown,
                     const std::string& text);
/// A quantity above zero as Kubernetes writes it: 4Mi. `takes_empty`: an empty one leaves the default.
void add_quantity(CLI::App& app, const std::string& name, std::size_t& value, const std::string& shown,
                  const std::string& text, bool takes_empty = false);
/// On or off, whose help tells which it is by default.
void add_switch(CLI::App& app, const std::string& name, bool& value, const std::string& text);
/// --zap-encoder: json or console.
void add_zap_encoder(CLI::App& app, log::Format& format);

}  // namespace llmd::flags
