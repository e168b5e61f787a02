// The few unknowns of a calibration.
#pragma once
#include <vector>

namespace wafer {

// x that makes the sum over i of (rows[i] . x - goal[i])^2 least, by the normal equations, the largest pivot first. An unknown that changes
// nothing, or nothing that others do not, is 0. Requires: at least one row, all of one length.
std::vector<double> least_squares(const std::vector<std::vector<double>>& rows, const std::vector<double>& goal);

}  // namespace wafer
