#include "report/roles_report.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "report/text.h"
#include "roles/code_size.h"

namespace wafer {
namespace {

std::map<std::string, int> by_kind(const roles::Role& role) {
  std::map<std::string, int> count;
  for (const roles::RoleAction& a : role.actions) count[roles::name(a.kind)]++;
  return count;
}

std::string actions_text(const roles::Role& role) {
  std::string text;
  for (const auto& [kind, n] : by_kind(role)) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", n, kind);
  return text;
}

}  // namespace

std::string code_text(const roles::CodeEstimate& e) {
  return folded(
      fmt::format("code     {} bytes at most in {} roles, system {}, estimated (all assumed); the plan reserves {}: {}; {} to {} "
                  "of code were measured on a WSE-3 decode engine\n",
                  grouped(e.code_bytes_max), grouped(e.roles), grouped(e.system_bytes), grouped(e.reserved), e.fits ? "fits" : "too little",
                  grouped(roles::kMeasuredCodeLeast), grouped(roles::kMeasuredCodeMost)));
}

std::string roles_text(const roles::RoleTable& table) {
  std::string text;
  for (const roles::PhaseRoles& phase : table.phases) {
    std::vector<Row> rows = {{fmt::format("{}: {} router configurations", phase.phase, grouped(phase.router_configurations)), "cores",
                              "code", "such as", "actions"}};
    for (const roles::Role& r : phase.roles)
      rows.push_back({"  " + r.name, grouped(r.cores), grouped(r.code_bytes), fmt::format("({},{})", r.x, r.y), actions_text(r)});
    text += (text.empty() ? "" : "\n") + wafer::table(rows, "lrrrl");
  }
  return text;
}

nlohmann::ordered_json roles_json(const roles::RoleTable& t, const roles::CodeEstimate& e, bool all) {
  nlohmann::ordered_json json = {{"count", e.roles},
                                 {"code_bytes_max", e.code_bytes_max},
                                 {"system_bytes", e.system_bytes},
                                 {"code_and_system_bytes", e.reserved},
                                 {"fits", e.fits}};
  if (!all) return json;
  json["phases"] = nlohmann::ordered_json::array();
  for (const roles::PhaseRoles& phase : t.phases) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const roles::Role& r : phase.roles) {
      nlohmann::ordered_json actions = nlohmann::ordered_json::array();
      for (const roles::RoleAction& a : r.actions)
        actions.push_back({{"kind", roles::name(a.kind)}, {"operation", a.operation}, {"operands", a.operands}, {"step", a.step}});
      list.push_back({{"name", r.name}, {"cores", r.cores}, {"x", r.x}, {"y", r.y}, {"code_bytes", r.code_bytes}, {"actions", actions}});
    }
    json["phases"].push_back({{"phase", phase.phase}, {"router_configurations", phase.router_configurations}, {"roles", list}});
  }
  return json;
}

}  // namespace wafer
