// How fast the matrix products of run/ run on this machine, beside what the memory allows: bench_matmul [rounds] [all|gemv|gemm|pack]
// [threads] On one thread the time of the CPU is taken, which other work on the machine disturbs less, else that of the clock.
//
// GEMV: matrices of 4096 x 4096, as many as no cache can hold, each read once; every round times the pure read and every case after
// each other, so that a ratio compares neighbours in time. GEMM: 512 x 4096 x 4096 in the cyclic order of 360 x 360 cores.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/isa.h"
#include "base/parallel.h"
#include "run/matmul.h"

namespace wafer::run {
namespace {

constexpr int64_t kSide = 4096;
constexpr int64_t kBytesPerCase = int64_t{640} << 20;

double seconds_of(const std::function<void()>& fn) {
  const auto now = [] {
    timespec t;
    clock_gettime(thread_count() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  fn();
  return now() - start;
}

struct Spread {
  double low, median, high;
};

Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

uint32_t next_random(uint32_t& state) { return state = state * 1664525u + 1013904223u; }

// Rows of a checkpoint with values about 1/64.
std::vector<std::byte> any_rows(SourceType type, int64_t rows, int64_t k, int64_t& row_bytes) {
  const int64_t block = type == SourceType::q8_0 ? 34 : 18;
  row_bytes = type == SourceType::f16 || type == SourceType::bf16 ? 2 * k : type == SourceType::f32 ? 4 * k : k / 32 * block;
  std::vector<std::byte> bytes(rows * row_bytes);
  uint32_t state = 1;
  for (int64_t r = 0; r < rows; r++) {
    std::byte* row = bytes.data() + r * row_bytes;
    for (int64_t i = 0; i < row_bytes; i++) row[i] = static_cast<std::byte>(next_random(state) >> 24);
    const auto small = [&] { return (static_cast<float>(next_random(state) >> 8) * 0x1p-24f - 0.5f) / 16; };
    for (int64_t i = 0; i < k && (type == SourceType::f16 || type == SourceType::bf16 || type == SourceType::f32); i++) {
      const float v = small();
      const uint16_t h = type == SourceType::f16 ? f32_to_f16(v) : static_cast<uint16_t>(std::bit_cast<uint32_t>(v) >> 16);
      type == SourceType::f32 ? std::memcpy(row + 4 * i, &v, 4) : std::memcpy(row + 2 * i, &h, 2);
    }
    const uint16_t scale = f32_to_f16(0.001f);
    for (int64_t at = 0; at < row_bytes && (type == SourceType::q8_0 || type == SourceType::q4_0); at += block) {
      std::memcpy(row + at, &scale, 2);
    }
  }
  return bytes;
}

PanelMatrix any_panels(SourceType source, Numerics numerics, int64_t k, int64_t n) {
  int64_t row_bytes = 0;
  const std::vector<std::byte> rows = any_rows(source, n, k, row_bytes);
  PanelMatrix m = make_panels(panel_type(source, numerics), k, n);
  pack_rows(m, 0, rows.data(), source, n, row_bytes, numerics);
  return m;
}

// k in `heads` equal pieces, each cut for all positions: the output projection of attention has a range for each head.
Lines even_lines(int positions, int64_t k, int64_t heads = 1) {
  Lines lines{.parts = std::vector<std::vector<KRange>>(positions)};
  const int64_t size = k / heads;
  for (int64_t p = 0; p < positions; p++) {
    for (int64_t h = 0; h < heads; h++) lines.parts[p].push_back({h * size + size * p / positions, h * size + size * (p + 1) / positions});
  }
  return lines;
}

// Two levels of chains: groups of about the root of the number, then their last members.
ReduceTree two_level_tree(int size) {
  const int group = std::max(1, static_cast<int>(std::lround(std::sqrt(size))));
  ReduceTree tree{.size = size, .root = size - 1, .levels = {{}, {{}}}};
  for (int first = 0; first < size; first += group) {
    const int last = std::min(size, first + group);
    auto& chain = tree.levels[0].emplace_back();
    for (int p = first; p < last; p++) chain.push_back(p);
    tree.levels[1][0].push_back(last - 1);
  }
  return tree;
}

// One word of every cache line: the most that the memory can deliver.
void read_all(const std::vector<PanelMatrix>& matrices) {
  std::atomic<uint64_t> sink{0};
  const int64_t panels = panel_count(matrices[0]);
  const int64_t words = panel_bytes(matrices[0].type, matrices[0].k) / 8;
  parallel_for(0, panels * static_cast<int64_t>(matrices.size()), 1, [&](int64_t begin, int64_t end) {
    uint64_t sum[4] = {};
    for (int64_t p = begin; p < end; p++) {
      const auto* data = reinterpret_cast<const uint64_t*>(panel_data(matrices[p / panels], p % panels));
      for (int64_t i = 0; i < words; i += 32) {
        for (int64_t j = 0; j < 4; j++) sum[j] += data[i + 8 * j];
      }
    }
    sink += sum[0] + sum[1] + sum[2] + sum[3];
  });
}

struct GemvCase {
  std::string name;
  size_t set;  // which matrices
  Numerics numerics;
  int positions;
  int batch;
  int heads;
  std::vector<double> rates, ratios;
};

void bench_gemv(int rounds) {
  struct Set {
    SourceType source;
    std::vector<PanelMatrix> matrices;
  };
  std::vector<Set> sets(3);
  const SourceType sources[] = {SourceType::f16, SourceType::q8_0, SourceType::q4_0};
  for (size_t s = 0; s < 3; s++) {
    int64_t row_bytes = 0;
    const std::vector<std::byte> rows = any_rows(sources[s], kSide, kSide, row_bytes);
    for (int64_t bytes = 0; bytes < kBytesPerCase; bytes += kSide / kPanelLanes * panel_bytes(sets[s].matrices.back().type, kSide)) {
      sets[s].matrices.push_back(make_panels(panel_type(sources[s], Numerics::mixed), kSide, kSide));
      pack_rows(sets[s].matrices.back(), 0, rows.data(), sources[s], kSide, row_bytes, Numerics::mixed);
    }
  }
  std::vector<GemvCase> list;
  for (int p : {32, 128, 360}) {
    list.push_back({"f16, mixed", 0, Numerics::mixed, p, 1, 1, {}, {}});
    list.push_back({"f16, fp16", 0, Numerics::fp16, p, 1, 1, {}, {}});
    list.push_back({"q8_0, mixed", 1, Numerics::mixed, p, 1, 1, {}, {}});
    list.push_back({"q4_0, mixed", 2, Numerics::mixed, p, 1, 1, {}, {}});
  }
  for (size_t s = 0; s < 3; s++)
    list.push_back({s == 0 ? "f16, mixed" : s == 1 ? "q8_0, mixed" : "q4_0, mixed", s, Numerics::mixed, 360, 4, 1, {}, {}});
  list.push_back({"f16, 32 heads", 0, Numerics::mixed, 64, 1, 32, {}, {}});
  list.push_back({"f16, 32 heads", 0, Numerics::mixed, 360, 1, 32, {}, {}});
  std::vector<float> x(8 * kSide), y(8 * kSide);
  for (size_t i = 0; i < x.size(); i++) x[i] = round_f16(std::sin(static_cast<float>(i)));
  std::vector<double> reads;
  for (int round = 0; round < rounds; round++) {
    for (GemvCase& c : list) {
      const auto& matrices = sets[c.set].matrices;
      const double bytes = static_cast<double>(matrices.size()) * panel_count(matrices[0]) * panel_bytes(matrices[0].type, kSide);
      const GemvOrder order = make_gemv_order(even_lines(c.positions, kSide, c.heads), two_level_tree(c.positions));
      const auto product = [&] {
        for (const PanelMatrix& m : matrices) gemv(m, order, c.numerics, c.batch, x.data(), kSide, y.data(), kSide);
      };
      const double before = seconds_of([&] { read_all(matrices); });
      const double own = seconds_of(product);
      const double after = seconds_of([&] { read_all(matrices); });
      reads.push_back(bytes / std::min(before, after) / 1e9);
      c.rates.push_back(bytes / own / 1e9);
      c.ratios.push_back(std::min(before, after) / own);
    }
  }
  const Spread read = spread(reads);
  fmt::print("pure read {:.1f} GB/s ({:.1f}..{:.1f})\n\n", read.median, read.low, read.high);
  fmt::print("{:<14}{:>10}{:>7}{:>10}{:>16}{:>14}{:>16}\n", "GEMV", "positions", "batch", "GB/s", "low..high", "of the read", "low..high");
  for (const GemvCase& c : list) {
    const Spread rate = spread(c.rates), ratio = spread(c.ratios);
    fmt::print("{:<14}{:>10}{:>7}{:>10.1f}{:>16}{:>13.0f}%{:>16}\n", c.name, c.positions, c.batch, rate.median,
               fmt::format("{:.1f}..{:.1f}", rate.low, rate.high), 100 * ratio.median,
               fmt::format("{:.0f}..{:.0f}%", 100 * ratio.low, 100 * ratio.high));
  }
}

void bench_gemm(int rounds) {
  struct GemmCase {
    std::string name;
    Numerics numerics;
    PanelMatrix b;
    int64_t t;
    int parts;
    std::vector<double> rates;
  };
  std::vector<GemmCase> list;
  const auto add = [&](const std::string& name, SourceType source, Numerics numerics, int64_t t, int parts, int64_t k, int64_t n) {
    list.push_back({name, numerics, any_panels(source, numerics, k, n), t, parts, {}});
  };
  add("f16, mixed", SourceType::f16, Numerics::mixed, 512, 360, kSide, kSide);
  add("f32, fp32", SourceType::f32, Numerics::fp32, 512, 360, kSide, kSide);
  add("q8_0, mixed", SourceType::q8_0, Numerics::mixed, 512, 360, kSide, kSide);
  add("q4_0, mixed", SourceType::q4_0, Numerics::mixed, 512, 360, kSide, kSide);
  add("f16, fp16", SourceType::f16, Numerics::fp16, 512, 360, kSide, kSide);
  add("f16, mixed", SourceType::f16, Numerics::mixed, 2160, 360, 2160, 2160);
  add("f16, mixed", SourceType::f16, Numerics::mixed, 512, 1, kSide, kSide);
  add("f16, mixed", SourceType::f16, Numerics::mixed, 512, 360, 14336, kSide);
  add("f16, mixed", SourceType::f16, Numerics::mixed, 32, 360, kSide, kSide);
  add("f32, fp32", SourceType::f32, Numerics::fp32, 512, 360, 512, 64);
  for (int round = 0; round < rounds; round++) {
    for (GemmCase& c : list) {
      std::vector<float> a(c.t * c.b.k), out(c.t * c.b.n);
      for (size_t i = 0; i < a.size(); i++) a[i] = f16_to_f32(static_cast<uint16_t>(0x3000 + i % 977));
      const GemmOrder order{.parts = even_lines(c.parts, c.b.k).parts};
      std::vector<int> row_part(c.t), col_part(c.b.n);
      for (int64_t i = 0; i < c.t; i++) row_part[i] = static_cast<int>(i * c.parts / c.t);
      for (int64_t i = 0; i < c.b.n; i++) col_part[i] = static_cast<int>(i * c.parts / c.b.n);
      const double own = seconds_of([&] { gemm(a.data(), c.b.k, c.b, order, row_part, col_part, c.numerics, out.data(), c.b.n); });
      c.rates.push_back(2.0 * c.t * c.b.k * c.b.n / own / 1e9);
    }
  }
  fmt::print("\n{:<14}{:>20}{:>8}{:>10}{:>16}\n", "GEMM", "T x K x N", "parts", "GFLOP/s", "low..high");
  for (const GemmCase& c : list) {
    const Spread rate = spread(c.rates);
    fmt::print("{:<14}{:>20}{:>8}{:>10.1f}{:>16}\n", c.name, fmt::format("{} x {} x {}", c.t, c.b.k, c.b.n), c.parts, rate.median,
               fmt::format("{:.1f}..{:.1f}", rate.low, rate.high));
  }
}

void bench_pack(int rounds) {
  fmt::print("\n{:<24}{:>16}{:>16}\n", "packing 16384 x 4096", "GB/s of source", "low..high");
  for (SourceType source : {SourceType::f16, SourceType::bf16, SourceType::f32, SourceType::q8_0, SourceType::q4_0}) {
    int64_t row_bytes = 0;
    const std::vector<std::byte> rows = any_rows(source, 4 * kSide, kSide, row_bytes);
    std::vector<double> rates;
    for (int round = 0; round < rounds; round++) {
      const double own = seconds_of([&] {
        PanelMatrix m = make_panels(panel_type(source, Numerics::mixed), kSide, 4 * kSide);
        pack_rows(m, 0, rows.data(), source, 4 * kSide, row_bytes, Numerics::mixed);
      });
      rates.push_back(static_cast<double>(rows.size()) / own / 1e9);
    }
    const Spread rate = spread(rates);
    const char* names[] = {"f32", "f16", "bf16", "q8_0", "q4_0"};
    fmt::print("{:<24}{:>16.2f}{:>16}\n", names[static_cast<int>(source)], rate.median, fmt::format("{:.2f}..{:.2f}", rate.low, rate.high));
  }
}

}  // namespace
}  // namespace wafer::run

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 7;
  const std::string what = argc > 2 ? argv[2] : "all";
  if (argc > 3) wafer::set_thread_count(std::atoi(argv[3]));
  fmt::print("instructions {}, threads {}, rounds {}, medians\n", wafer::isa_name(wafer::current_isa()), wafer::thread_count(), rounds);
  if (what == "all" || what == "gemv") wafer::run::bench_gemv(rounds);
  if (what == "all" || what == "gemm") wafer::run::bench_gemm(rounds);
  if (what == "all" || what == "pack") wafer::run::bench_pack(rounds);
}
