// Bytes of SRAM: what every buffer takes on every core, and the core of each phase that holds most.
//
// Sizes that depend on parameters count at their limits. A quantised tensor counts its packed integers and, for each block of 32 of
// which a core has a piece, an fp16 scale for each output.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "mesh/program.h"

namespace wafer::mesh {

constexpr int kBufferKinds = 5;

struct CoreBytes {
  std::array<int64_t, kBufferKinds> by_kind{};  // indexed by BufferKind
  int64_t code = 0;                             // code and system
  int64_t total() const;
};

struct PhaseBytes {
  PhaseId phase{};
  RegionId region{};
  int x = 0, y = 0;  // of the fullest core, in device coordinates
  CoreBytes fullest;
  double mean = 0;  // bytes over the region's cores, code included; of the moment with most
  std::array<double, kBufferKinds> mean_by_kind{};
  int64_t cores = 0;
};

bool quantised(Dtype t);
// Whether a buffer has bytes in a phase, be it only until its copies have left or from when they arrive.
bool lives_in(const Buffer& buffer, PhaseId phase);
// Bytes under one output of the quantised indices in `ranges`: packed integers and the scales of all blocks touched.
int64_t quantised_bytes(Dtype t, const std::vector<Range>& ranges);
// Bytes of one buffer on the core at (x, y) of its region.
int64_t buffer_bytes(const Program& program, const Buffer& buffer, int x, int y);
// All buffers of a region that live in a phase, on one core.
CoreBytes core_bytes(const Program& program, RegionId region, PhaseId phase, int x, int y, int64_t code_bytes);
// One row for each phase and region in which a buffer lives. A core counts all that lives there in the phase, also what belongs to other
// regions that lie over it: prefill's caches and decode's weights in a transition.
// `only_phase`: of that phase alone, where one is given.
std::vector<PhaseBytes> phase_bytes(const Program& program, int64_t code_bytes, PhaseId only_phase = {});
// The row with the fullest core. Requires: the program has buffers.
PhaseBytes fullest(const std::vector<PhaseBytes>& rows);
// "core (3,7) needs 49,812 of 49,152 bytes: code and system 8,528, weights 38,400, ..."; `when`: more words before the colon.
std::string describe(const PhaseBytes& row, int64_t sram_bytes, const std::string& when = "");
std::string with_commas(int64_t n);
std::string size_text(int64_t bytes);  // in a unit that shows three digits at least: "640 bytes", "40.62 KB", "1.50 GB"

}  // namespace wafer::mesh
