// What the tables of the paper are written with. Internal to paper/.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "paper/baselines.h"
#include "paper/published_time.h"
#include "paper/tables.h"

namespace wafer {

inline constexpr std::array kGpus = {1, 8, 16};

// Appends rows, with the paper's number where there is one.
struct TableWriter {
  const Device& device;
  std::vector<PaperRow>& rows;
  PublishedLayers layers{.device = device};

  bool has_rows() const { return device.measured_rows != "none"; }  // of others, to stand beside the device's
  std::string chip() const;                                         // "WSE-2"; of a device without such rows its name
  double seconds(double cycles) const { return cycles / device.clock_hz; }
  bool has_square(int side) const { return side <= device.mesh_width && side <= device.mesh_height; }
  PaperRow& add(PaperRow row);
};

std::string joined(const std::string& note, const std::string& another);  // "; " between them
std::string square_text(int side);                                        // "480x480"
std::string gpus_name(int gpus);                                          // "A100x8"
// What the paper measured on GPUs, where that row may be used.
std::optional<double> measured_on_gpus(const char* table, const std::string& model, int gpus, const std::string& config);
// Joules of so many GPUs over joules of the wafer for the same work, both by power times time.
double energy_ratio(const Device& device, int gpus, double gpu_seconds, double wafer_seconds);

void gemv_table_rows(TableWriter& w);   // table 6
void gemm_figure_rows(TableWriter& w);  // figure 9
void gemv_figure_rows(TableWriter& w);  // figure 10
void wse3_layer_rows(TableWriter& w);   // the decode layer measured on a WSE-3

}  // namespace wafer
