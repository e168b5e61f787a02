// The paper's tables as text, JSON and Markdown.
#pragma once
#include <string>

#include "paper/tables.h"

namespace wafer {

std::string paper_text(const PaperTables& tables);
std::string paper_json(const PaperTables& tables);      // one line
std::string paper_markdown(const PaperTables& tables);  // docs/paper.md is made of it

}  // namespace wafer
