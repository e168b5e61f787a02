#include "run/panel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/half.h"
#include "base/isa.h"

namespace wafer::run {
namespace {

constexpr SourceType kSources[] = {SourceType::f32, SourceType::f16, SourceType::bf16, SourceType::q8_0, SourceType::q4_0};
constexpr Numerics kNumerics[] = {Numerics::mixed, Numerics::fp16, Numerics::fp32};

int64_t row_bytes(SourceType type, int64_t k) {
  switch (type) {
    case SourceType::f32: return 4 * k;
    case SourceType::f16:
    case SourceType::bf16: return 2 * k;
    case SourceType::q8_0: return k / 32 * 34;
    case SourceType::q4_0: return k / 32 * 18;
  }
  return 0;
}

bool quantised(SourceType type) { return type == SourceType::q8_0 || type == SourceType::q4_0; }

template <class T>
T read(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// The value that the file format defines, in fp32.
float source_value(const std::byte* row, SourceType type, int64_t k) {
  switch (type) {
    case SourceType::f32: return read<float>(row + 4 * k);
    case SourceType::f16: return f16_to_f32(read<uint16_t>(row + 2 * k));
    case SourceType::bf16: return std::bit_cast<float>(static_cast<uint32_t>(read<uint16_t>(row + 2 * k)) << 16);
    case SourceType::q8_0:
      return f16_to_f32(read<uint16_t>(row + k / 32 * 34)) * static_cast<float>(read<int8_t>(row + k / 32 * 34 + 2 + k % 32));
    case SourceType::q4_0: {
      const int byte = read<uint8_t>(row + k / 32 * 18 + 2 + k % 16);
      return f16_to_f32(read<uint16_t>(row + k / 32 * 18)) * static_cast<float>((k % 32 < 16 ? byte % 16 : byte / 16) - 8);
    }
  }
  return 0;
}

// Rows of random bits, none of them a NaN; about one f32 or bf16 in ten is past the range of fp16.
std::vector<std::byte> any_rows(std::mt19937& random, SourceType type, int64_t k, int64_t count) {
  std::vector<std::byte> rows(row_bytes(type, k) * count);
  for (std::byte& byte : rows) byte = static_cast<std::byte>(random());
  const auto finite = [&](uint32_t exponent_low, uint32_t exponents, int mantissa_bits) {
    const uint32_t exponent = exponent_low + random() % exponents;
    return (random() % 2 << (mantissa_bits + (mantissa_bits == 10 ? 5 : 8))) | exponent << mantissa_bits | random() % (1u << mantissa_bits);
  };
  const auto put = [&](std::byte* to) {
    const uint32_t bits = type == SourceType::f32 ? finite(96, 50, 23) : type == SourceType::bf16 ? finite(96, 50, 7) : finite(0, 31, 10);
    std::memcpy(to, &bits, type == SourceType::f32 ? 4 : 2);
  };
  const size_t step = type == SourceType::f32 ? 4 : type == SourceType::q8_0 ? 34 : type == SourceType::q4_0 ? 18 : 2;
  for (size_t at = 0; at < rows.size(); at += step) put(rows.data() + at);
  return rows;
}

TEST(Panel, PacksEverySourceInEveryNumerics) {
  std::mt19937 random(3);
  const Isa before = current_isa();
  for (SourceType source : kSources) {
    for (Numerics numerics : kNumerics) {
      for (Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
        if (!isa_available(isa)) continue;
        force_isa(isa);
        const int64_t k = quantised(source) ? 288 : 269;
        const int64_t first = 70, second = 131;  // two tensors, packed after each other across the ends of panels
        const std::vector<std::byte> rows = any_rows(random, source, k, first + second);
        const int64_t bytes = row_bytes(source, k);
        PanelMatrix m = make_panels(panel_type(source, numerics), k, first + second);
        int64_t overflows = pack_rows(m, 0, rows.data(), source, first, bytes, numerics);
        overflows += pack_rows(m, first, rows.data() + first * bytes, source, second, bytes, numerics);
        const bool rounds = numerics == Numerics::fp16 || (numerics == Numerics::mixed && !quantised(source));
        int64_t want_overflows = 0;
        for (int64_t n = 0; n < m.n; n++) {
          for (int64_t i = 0; i < k; i++) {
            const float exact = source_value(rows.data() + n * bytes, source, i);
            const float want = rounds ? round_f16(exact) : exact;
            want_overflows += std::isinf(want) && !std::isinf(exact);
            ASSERT_EQ(std::bit_cast<uint32_t>(panel_value(m, i, n)), std::bit_cast<uint32_t>(want))
                << isa_name(isa) << " source " << static_cast<int>(source) << " numerics " << static_cast<int>(numerics) << " k " << i
                << " n " << n;
          }
        }
        EXPECT_EQ(overflows, want_overflows);
        if (rounds && source == SourceType::bf16) {
          EXPECT_GT(overflows, 0);
        }
      }
    }
  }
  force_isa(before);
}

TEST(Panel, LanesPastTheLastOutputAreZero) {
  std::mt19937 random(4);
  const std::vector<std::byte> rows = any_rows(random, SourceType::f16, 9, 130);
  PanelMatrix m = make_panels(PanelType::f16, 9, 130);
  pack_rows(m, 0, rows.data(), SourceType::f16, 130, 18, Numerics::mixed);
  const auto* panel = reinterpret_cast<const uint16_t*>(panel_data(m, 1));
  for (int64_t k = 0; k < 9; k++) {
    for (int64_t lane = 2; lane < 128; lane++) EXPECT_EQ(panel[k * 128 + lane], 0);
  }
}

TEST(Panel, PacksColumns) {
  std::vector<float> matrix(7 * 150);
  for (size_t i = 0; i < matrix.size(); i++) matrix[i] = static_cast<float>(i);
  PanelMatrix m = make_panels(PanelType::f32, 7, 140);
  pack_columns(m, matrix.data(), 150);
  for (int64_t k = 0; k < 7; k++) {
    for (int64_t n = 0; n < 140; n++) EXPECT_EQ(panel_value(m, k, n), matrix[k * 150 + n]);
  }
}

TEST(Panel, StoresOneInput) {
  std::vector<float> values(200);
  for (size_t i = 0; i < values.size(); i++) values[i] = 1.0f + static_cast<float>(i) * 0x1p-12f;
  for (PanelType type : {PanelType::f32, PanelType::f16}) {
    PanelMatrix m = make_panels(type, 3, 200);
    store_input(m, 2, values.data());
    for (int64_t n = 0; n < 200; n++) EXPECT_EQ(panel_value(m, 2, n), type == PanelType::f16 ? round_f16(values[n]) : values[n]);
  }
}

TEST(Panel, HalfWeightsMayLieInFloatPanels) {
  std::mt19937 random(5);
  const std::vector<std::byte> rows = any_rows(random, SourceType::f16, 40, 3);
  PanelMatrix m = make_panels(PanelType::f32, 40, 3);
  EXPECT_EQ(pack_rows(m, 0, rows.data(), SourceType::f16, 3, 80, Numerics::fp32), 0);
  for (int64_t n = 0; n < 3; n++) {
    for (int64_t k = 0; k < 40; k++) EXPECT_EQ(panel_value(m, k, n), source_value(rows.data() + n * 80, SourceType::f16, k));
  }
}

}  // namespace
}  // namespace wafer::run
