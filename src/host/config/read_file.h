#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/error.h"

namespace llmd::config {

/// The whole file. Errors: kFileNotFound, kFileInvalid (a folder, longer than `bytes_max`, not readable). Reads no more
/// than the limit, whatever the file says of its size.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max);

}  // namespace llmd::config
