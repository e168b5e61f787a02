// The roles of a program as a table, and what their code takes of a core.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "roles/roles.h"

namespace wafer {

// One line: the largest code of a role and the system's, and what the plan reserves for both.
std::string code_text(const roles::CodeEstimate& estimate);
// Every role of every phase: cores, code, actions by kind; then the fullest combinations.
std::string roles_text(const roles::RoleTable& table);
nlohmann::ordered_json roles_json(const roles::RoleTable& table, const roles::CodeEstimate& estimate, bool all);

}  // namespace wafer
