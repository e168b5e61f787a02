// gnuplot, run to draw plots into a folder.
#pragma once
#include <string>
#include <vector>

#include "paper/plots.h"

namespace wafer {

// Makes the folder where it is missing. Throws Error where no file can be written to it or there is no gnuplot: before the hard work.
void check_plotting(const std::string& folder);

// Draws the plots into the folder and returns the paths of the files. A file is there as a whole or not at all. Throws Error.
std::vector<std::string> draw_plots(const std::vector<Plot>& plots, const std::string& folder);

}  // namespace wafer
