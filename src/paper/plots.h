// The paper's figures and tables as plots: what gnuplot is to draw. gnuplot.h runs it.
#pragma once
#include <string>
#include <vector>

#include "paper/tables.h"

namespace wafer {

struct Plot {
  std::string file;    // "figure9.svg"
  std::string script;  // of gnuplot, with the numbers in it; the picture goes to its stdout
};

// One of every table and figure that is drawn and has rows: a panel for each model or problem, the mesh along x, ours as lines with
// markers, the paper's numbers as hollow markers of the same colour. Rows that are not of a square mesh are left out.
std::vector<Plot> paper_plots(const PaperTables& tables);
std::vector<std::string> plotted_tables();  // the names of those that are drawn

}  // namespace wafer
