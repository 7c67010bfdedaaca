#include "apps/doctor/doctor.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "apps/doctor/checks.h"
#include "engine/memory_plan.h"
#include "flags/command_line.h"
#include "flags/shared_flags.h"
#include "flags/topology.h"
#include "flags/worker_flags.h"

namespace llmd {
namespace doctor {
namespace {

std::string_view mark(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood: return "ok  ";
    case Verdict::kWarning: return "warn";
    case Verdict::kBad: return "BAD ";
  }
  return "BAD ";
}

}  // namespace
}  // namespace doctor

int doctor_main(int argc, char** argv) {
  std::string listen = "127.0.0.1:8080";
  std::string model;
  std::string topology_text = "unified:1";
  flags::MemoryFlags memory;
  CLI::App app{
      "Looks at what llmd up needs, with the flags that it would get: port, model file, memory, CPU, versions.",
      "llmd doctor"};
  flags::add_address_flag(app, "--listen", listen, "Where the server shall listen")->capture_default_str();
  flags::add_model_flag(app, model);
  app.add_option("--topology", topology_text, "Workers by role, as unified:2 or prefill:1,decode:1")
      ->capture_default_str();
  flags::add_memory_flags(app, memory);
  if (const auto ending = flags::parse(app, argc, argv)) return flags::end(*ending);
  const auto topology = flags::parse_topology(topology_text);
  if (!topology) return flags::end(flags::refusal(app, topology.error()));
  if (const auto checked = flags::check_memory_flags(memory); !checked) {
    return flags::end(flags::refusal(app, checked.error()));
  }
  const std::vector<doctor::Finding> findings{
      doctor::check_port(listen),
      doctor::check_model(model),
      doctor::check_memory(model, memory, topology->workers(), engine::available_memory_bytes()),
      doctor::check_cpu(),
      doctor::check_runtime_folder(),
      doctor::check_versions()};
  bool bad = false;
  for (const doctor::Finding& finding : findings) {
    fmt::print("{} {:<9} {}\n", doctor::mark(finding.verdict), finding.subject, finding.text);
    bad = bad || finding.verdict == doctor::Verdict::kBad;
  }
  return bad ? 1 : 0;
}

}  // namespace llmd
