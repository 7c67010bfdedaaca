#pragma once

#include "base/protobuf_wire.h"

namespace llmd::rpc {

using llmd::WireReader;  // NOLINT(misc-unused-using-decls)
using llmd::WireWriter;  // NOLINT(misc-unused-using-decls)

}  // namespace llmd::rpc
