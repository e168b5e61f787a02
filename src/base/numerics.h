// The three numerics of a mesh (docs/design.md). A value "in fp16" is kept on the host in a float that fp16 can hold.
#pragma once

namespace wafer {

enum class Numerics {
  mixed,  // operands fp16, products exact, sums fp32
  fp16,   // every multiply-add fused with one rounding to fp16, sums in fp16
  fp32,   // storage and sums fp32, multiply-adds fused
};

}  // namespace wafer
