#pragma once

#include <memory>
#include <string>

#include "scheduling/abi_plugin.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Loads plugin libraries; the host's, as the core opens no files.
class PluginLibraries {
 public:
  PluginLibraries() = default;
  PluginLibraries(const PluginLibraries&) = delete;
  PluginLibraries& operator=(const PluginLibraries&) = delete;
  virtual ~PluginLibraries() = default;

  struct Library {
    const llmd_plugin_v1* table = nullptr;
    std::shared_ptr<const void> handle{};  // keeps it loaded
  };
  /// Error kConfigInvalid: no such library, or it is none of plugins.
  [[nodiscard]] virtual Result<Library> open(const std::string& path) = 0;
  /// A plugin was made: the host reads its counters from now on.
  virtual void made(const AbiPlugin& plugin) = 0;
  /// Measures their calls. Lives as long as every plugin.
  [[nodiscard]] virtual const Clock& clock() const noexcept = 0;
};

/// A scorer or filter from a shared library with the C ABI of abi/llmd_plugin_v1.h. Where no library may be loaded (a
/// check without a server) it is a plugin without data.
struct SharedLibraryPlugin {
  static const PluginSpec kFilterSpec;
  static const PluginSpec kScorerSpec;
};

}  // namespace llmd::scheduling
