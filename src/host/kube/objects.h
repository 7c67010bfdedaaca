#pragma once

#include <string>
#include <vector>

namespace llmd::kube {

/// One object as the API server has it.
struct Object {
  std::string name;
  std::string ns;
  std::string uid;
  std::string resource_version;
  std::string json;  // whole
};

/// A list that can be watched.
struct Resource {
  std::string group{};  // empty: the core group
  std::string version{};
  std::string plural{};
  std::string ns{};              // empty: all namespaces
  std::string label_selector{};  // in Kubernetes' form, as are fields; empty: all
  std::string field_selector{};

  /// Of the API, without a query.
  [[nodiscard]] std::string path() const;
};

/// Who hears of a list. All calls come on the reflector's loop, in the order of the server's.
class ObjectSink {
 public:
  virtual ~ObjectSink() = default;
  virtual void replaced(std::vector<Object> objects) = 0;  // these are all
  virtual void upserted(Object object) = 0;
  virtual void deleted(Object object) = 0;
  /// The server has no such resource, or says that it may not be seen; it is asked for again later.
  virtual void absent() = 0;
};

}  // namespace llmd::kube
