#include "api/openai/chat_answer_writer.h"

#include <utility>

#include "api/openai/error.h"

namespace llmd::openai {
namespace {

class Writer final : public ChatAnswerWriter {
 public:
  Writer(AnswerHead head, bool include_usage)
      : head_{std::move(head)}, stream_{head_, include_usage}, include_usage_{include_usage} {}

  void append_chunk(std::string& out, const ChatChunk& chunk) override { stream_.append_chunk(out, chunk); }
  void append_end(std::string& out, const Usage& usage) override {
    if (include_usage_) stream_.append_usage_chunk(out, usage);
    out += kDoneEvent;
  }
  void append_error(std::string& out, const Error& error) override { append_event(out, error_json(error)); }
  void append_whole(std::string& out, std::span<const ChatChoice> choices, const Usage& usage,
                    const KvTransferParams* kv_transfer) override {
    append_chat_completion(out, head_, choices, usage, kv_transfer);
  }

 private:
  const AnswerHead head_;
  const ChatStreamWriter stream_;
  const bool include_usage_;
};

}  // namespace

std::unique_ptr<ChatAnswerWriter> make_chat_writer(AnswerHead head, bool include_usage) {
  return std::make_unique<Writer>(std::move(head), include_usage);
}

}  // namespace llmd::openai
