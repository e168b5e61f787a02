// Which vector instructions the host kernels use. Every choice gives the same bits (a NaN's sign and payload excepted), so this is
// for tests and for the report. The environment variable WAFER_ISA (scalar, avx2, avx512), read once, overrides the best one found.
#pragma once

namespace wafer {

enum class Isa { scalar, avx2, avx512 };

bool isa_available(Isa isa);
const char* isa_name(Isa isa);

// The choice in force. Throws Error if WAFER_ISA is unknown or not available on this machine.
Isa current_isa();

// For tests. Requires: isa_available(isa); no kernel is running.
void force_isa(Isa isa);

}  // namespace wafer
