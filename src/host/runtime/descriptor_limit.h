#pragma once

namespace llmd {

/// Lifts the soft limit of open descriptors to the hard one, at most 65,536: the usual soft limit of 1,024 is less than
/// the connections that a server takes. Once, at the start of main(); a system that refuses it is no error.
void raise_descriptor_limit() noexcept;

}  // namespace llmd
