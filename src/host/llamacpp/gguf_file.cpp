#include "llamacpp/gguf_file.h"

#include <fmt/format.h>
#include <gguf.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llamacpp/backend.h"

namespace llmd::llamacpp {
namespace {

constexpr std::string_view kDownloadHint = "download the file again, or check --model";

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

struct FreeGguf {
  void operator()(gguf_context* context) const noexcept { gguf_free(context); }
};

Result<File> open_model(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    const int why = errno;
    if (why == ENOENT || why == ENOTDIR) {
      return fail(ErrorCode::kFileNotFound, fmt::format("model file {} does not exist", path), "check --model");
    }
    return fail(ErrorCode::kIo, fmt::format("model file {}: {}", path, std::strerror(why)), "check its permissions");
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::kFileInvalid, fmt::format("model file {} is not a regular file", path), "check --model");
  }
  File file{std::fopen(path.c_str(), "rb")};
  if (!file) {
    return fail(ErrorCode::kIo, fmt::format("model file {}: {}", path, std::strerror(errno)), "check its permissions");
  }
  return file;
}

/// Lets gguf read the header and remembers the first byte that was asked for and is not there.
struct HeaderReader {
  std::FILE* file = nullptr;
  std::uint64_t file_bytes = 0;
  std::uint64_t missing_end = 0;  // 0: every read was served

  static std::size_t read(void* self, void* out, std::uint64_t offset, std::size_t length) {
    auto& reader = *static_cast<HeaderReader*>(self);
    if (offset + length > reader.file_bytes) reader.missing_end = std::max(reader.missing_end, offset + length);
    if (std::fseek(reader.file, static_cast<long>(offset), SEEK_SET) != 0) return 0;
    return std::fread(out, 1, length, reader.file);
  }
};

Result<void> check_magic(std::FILE* file, const std::string& path, std::uint64_t file_bytes) {
  std::array<char, 4> magic{};
  if (std::fread(magic.data(), 1, magic.size(), file) != magic.size()) {
    return fail(ErrorCode::kFileInvalid,
                fmt::format("model file {} is not a GGUF: it has only {} bytes", path, file_bytes),
                std::string{kDownloadHint});
  }
  if (std::string_view{magic.data(), magic.size()} != "GGUF") {
    return fail(
        ErrorCode::kFileInvalid,
        fmt::format("model file {} is not a GGUF: it begins with bytes {:02x} {:02x} {:02x} {:02x}, not \"GGUF\"", path,
                    static_cast<unsigned char>(magic[0]), static_cast<unsigned char>(magic[1]),
                    static_cast<unsigned char>(magic[2]), static_cast<unsigned char>(magic[3])),
        "llmd serves GGUF files; convert the model, or name another file");
  }
  return {};
}

std::unexpected<Error> cut_short(const std::string& path, std::uint64_t have, std::uint64_t need) {
  return fail(ErrorCode::kFileInvalid, fmt::format("model file {} is cut short at byte {} of {}", path, have, need),
              std::string{kDownloadHint});
}

std::uint32_t split_count(const gguf_context* gguf) {
  const std::int64_t key = gguf_find_key(gguf, "split.count");
  if (key < 0 || gguf_get_kv_type(gguf, key) != GGUF_TYPE_UINT16) return 1;
  return std::max<std::uint32_t>(1, gguf_get_val_u16(gguf, key));
}

std::string architecture(const gguf_context* gguf) {
  const std::int64_t key = gguf_find_key(gguf, "general.architecture");
  return key >= 0 && gguf_get_kv_type(gguf, key) == GGUF_TYPE_STRING ? gguf_get_val_str(gguf, key) : "";
}

std::uint64_t vocabulary(const gguf_context* gguf) {
  const std::int64_t key = gguf_find_key(gguf, "tokenizer.ggml.tokens");
  return key >= 0 && gguf_get_kv_type(gguf, key) == GGUF_TYPE_ARRAY ? gguf_get_arr_n(gguf, key) : 0;
}

/// Elsewhere llama.cpp ends the process (LLAMA_MAX_LAYERS).
Result<void> check_layers(const gguf_context* gguf, const std::string& path) {
  constexpr std::uint32_t kLayersMax = 512;
  const std::int64_t key = gguf_find_key(gguf, (architecture(gguf) + ".block_count").c_str());
  if (key < 0 || gguf_get_kv_type(gguf, key) != GGUF_TYPE_UINT32) return {};  // llama.cpp refuses it
  const std::uint32_t layers = gguf_get_val_u32(gguf, key);
  if (layers >= 1 && layers <= kLayersMax) return {};
  return fail(ErrorCode::kFileInvalid,
              fmt::format("model file {} is damaged: it says that it has {} layers; expected 1 to {}", path, layers,
                          kLayersMax),
              std::string{kDownloadHint});
}

std::uint64_t end_of_tensors(const gguf_context* gguf) {
  std::uint64_t end = gguf_get_data_offset(gguf);
  for (std::int64_t i = 0; i < gguf_get_n_tensors(gguf); ++i) {
    end = std::max<std::uint64_t>(
        end, gguf_get_data_offset(gguf) + gguf_get_tensor_offset(gguf, i) + gguf_get_tensor_size(gguf, i));
  }
  return end;
}

}  // namespace

Result<GgufFacts> check_gguf(const std::string& path) {
  ensure_backend();
  LLMD_TRY(const File file, open_model(path));
  if (std::fseek(file.get(), 0, SEEK_END) != 0)
    return fail(ErrorCode::kIo, fmt::format("model file {} cannot be read", path));
  const auto file_bytes = static_cast<std::uint64_t>(std::ftell(file.get()));
  std::rewind(file.get());
  LLMD_TRY_VOID(check_magic(file.get(), path, file_bytes));

  HeaderReader reader{.file = file.get(), .file_bytes = file_bytes};
  std::unique_ptr<gguf_context, FreeGguf> gguf;
  try {
    gguf.reset(gguf_init_from_callback(HeaderReader::read, &reader, 0, file_bytes, {.no_alloc = true, .ctx = nullptr}));
  } catch (const std::exception&) {
    gguf.reset();  // hostile counts; reported below
  }
  if (!gguf) {
    const std::string cause = take_last_error();
    if (reader.missing_end > 0) {
      return fail(ErrorCode::kFileInvalid,
                  fmt::format("model file {} is cut short at byte {}, inside its header", path, file_bytes),
                  std::string{kDownloadHint});
    }
    return fail(ErrorCode::kFileInvalid,
                fmt::format("model file {} has a damaged GGUF header{}{}", path, cause.empty() ? "" : ": ", cause),
                std::string{kDownloadHint});
  }
  LLMD_TRY_VOID(check_layers(gguf.get(), path));
  const std::uint64_t need = end_of_tensors(gguf.get());
  if (need > file_bytes) return cut_short(path, file_bytes, need);
  return GgufFacts{.file_bytes = file_bytes,
                   .header_bytes = std::min<std::uint64_t>(gguf_get_data_offset(gguf.get()), file_bytes),
                   .tensors = static_cast<std::uint64_t>(gguf_get_n_tensors(gguf.get())),
                   .split_count = split_count(gguf.get()),
                   .architecture = architecture(gguf.get()),
                   .vocabulary = vocabulary(gguf.get())};
}

Result<Digest256> fingerprint_gguf(const std::string& path, const GgufFacts& facts) {
  constexpr std::size_t kSampleBytes = 16U << 10U;
  constexpr std::uint64_t kSamples = 256;
  LLMD_TRY(const File file, open_model(path));
  Sha256 hash;
  std::vector<std::byte> buffer(kSampleBytes);
  const auto add = [&](std::uint64_t offset, std::size_t length) -> bool {
    if (std::fseek(file.get(), static_cast<long>(offset), SEEK_SET) != 0) return false;
    if (std::fread(buffer.data(), 1, length, file.get()) != length) return false;
    hash.update(std::span<const std::byte>{buffer.data(), length});
    return true;
  };
  const auto add_range = [&](std::uint64_t from, std::uint64_t to) -> bool {
    for (std::uint64_t at = from; at < to; at += kSampleBytes) {
      if (!add(at, static_cast<std::size_t>(std::min<std::uint64_t>(kSampleBytes, to - at)))) return false;
    }
    return true;
  };
  hash.update(fmt::format("gguf {} {} ", facts.file_bytes, facts.header_bytes));
  bool read = add_range(0, facts.header_bytes);
  const std::uint64_t weights = facts.file_bytes - facts.header_bytes;
  if (weights <= kSamples * kSampleBytes) {
    read = read && add_range(facts.header_bytes, facts.file_bytes);
  } else {
    for (std::uint64_t i = 0; read && i < kSamples; ++i) {
      read = add(facts.header_bytes + (weights - kSampleBytes) / (kSamples - 1) * i, kSampleBytes);
    }
  }
  if (!read) return fail(ErrorCode::kIo, fmt::format("model file {} changed or failed while it was read", path));
  return hash.finish();
}

}  // namespace llmd::llamacpp
