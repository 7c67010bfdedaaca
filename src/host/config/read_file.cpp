#include "config/read_file.h"

#include <fmt/format.h>

#include <fstream>
#include <system_error>

namespace llmd::config {

Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return fail(ErrorCode::kFileNotFound, fmt::format("{} does not exist", path.string()), "check the path");
  }
  if (std::filesystem::is_directory(status))
    return fail(ErrorCode::kFileInvalid, fmt::format("{} is a folder; expected a file", path.string()));
  std::ifstream stream{path, std::ios::binary};
  if (!stream)
    return fail(ErrorCode::kFileInvalid, fmt::format("{} cannot be opened", path.string()), "check its permissions");
  std::string text(bytes_max + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return fail(ErrorCode::kFileInvalid, fmt::format("{} cannot be read", path.string()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > bytes_max)
    return fail(ErrorCode::kFileInvalid, fmt::format("{} has more than {} bytes", path.string(), bytes_max));
  return text;
}

}  // namespace llmd::config
