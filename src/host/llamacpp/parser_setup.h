#pragma once

#include <chat.h>

namespace llmd::llamacpp {

/// How the text of one answer is read: what RenderedChat::parser points to. Internal to this module.
struct ParserSetup {
  enum class Kind {
    kPlain,      // all of it is content
    kCommon,     // the template's own format, read by llama.cpp's common
    kToolLines,  // our format for templates that know no tools, see tool_lines.h
  };
  Kind kind = Kind::kPlain;
  common_chat_parser_params common;
};

}  // namespace llmd::llamacpp
