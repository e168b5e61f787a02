// The paper's tables as text, JSON and Markdown.
#pragma once
#include <string>
#include <vector>

#include "paper/tables.h"

namespace wafer {

std::string paper_text(const PaperTables& tables);
std::string paper_json(const PaperTables& tables);  // one line
// docs/paper.md. `options`: of the command that made it, to be told, such as " --device wse3". `pictures`: paths of plots; a page beside
// their folder shows them.
std::string paper_markdown(const PaperTables& tables, const std::string& options, const std::vector<std::string>& pictures);

}  // namespace wafer
