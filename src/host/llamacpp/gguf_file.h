#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/hash.h"

namespace llmd::llamacpp {

/// What a GGUF file says of its own shape.
struct GgufFacts {
  std::uint64_t file_bytes = 0;
  std::uint64_t header_bytes = 0;  // metadata and tensor table; the weights follow
  std::uint64_t tensors = 0;
  std::uint32_t split_count = 1;  // files that the model is spread over
  std::string architecture;       // empty: it says none
  std::uint64_t vocabulary = 0;   // tokens; 0: it has none
};

/// Reads the header and checks that the file is as long as its tensors need, before llama.cpp maps it: a file cut short
/// would otherwise end the process with SIGBUS in the middle of a request. Errors: kFileNotFound, kFileInvalid, kIo.
[[nodiscard]] Result<GgufFacts> check_gguf(const std::string& path);

/// Identity of metadata and weights: SHA-256 over the header and evenly spaced samples of the weights (4 MiB at most).
/// Two quantisations or fine-tunes of one model differ in every sample. The path plays no part. Error kIo.
[[nodiscard]] Result<Digest256> fingerprint_gguf(const std::string& path, const GgufFacts& facts);

}  // namespace llmd::llamacpp
