#include "mesh/bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "base/check.h"

namespace wafer::mesh {
namespace {

constexpr int64_t kBlock = 32;
constexpr int64_t kScaleBytes = 2;

int64_t limit(const Tensor& tensor, const Buffer& buffer, size_t d) {
  return buffer.limits.empty() ? tensor.dims[d].size.limit : buffer.limits[d];
}

// The factor that each position along an axis puts into a buffer's element (or byte) count.
std::vector<int64_t> factors(const Tensor& tensor, const Buffer& buffer, Axis axis, int positions) {
  std::vector<int64_t> f(static_cast<size_t>(positions), 1);
  for (const DimCut& cut : buffer.cuts) {
    if (cut.axis != axis) continue;
    const int64_t n = limit(tensor, buffer, static_cast<size_t>(cut.dim));
    const bool packed = quantised(tensor.dtype) && cut.dim == tensor.quantised_dim;
    const bool grows = tensor.dims[static_cast<size_t>(cut.dim)].size.kind != SizeKind::fixed;
    for (int p = 0; p < positions; p++)
      f[static_cast<size_t>(p)] *= packed  ? quantised_bytes(tensor.dtype, ranges_at(cut.cut, n, p))
                                   : grows ? most_at(cut.cut, n, p)
                                           : count_at(cut.cut, n, p);
  }
  return f;
}

// What all positions share: uncut dimensions, slots, bytes of an element; of one copy.
int64_t common_factor(const Tensor& tensor, const Buffer& buffer) {
  int64_t f = buffer.slots;
  bool packed_dim_cut = false;
  for (size_t d = 0; d < tensor.dims.size(); d++) {
    const int64_t n = limit(tensor, buffer, d);
    const bool cut = std::any_of(buffer.cuts.begin(), buffer.cuts.end(), [&](const DimCut& c) { return c.dim == static_cast<int>(d); });
    const bool packed = quantised(tensor.dtype) && static_cast<int>(d) == tensor.quantised_dim;
    if (cut) {
      packed_dim_cut |= packed;
      continue;
    }
    f *= packed ? quantised_bytes(tensor.dtype, {{0, n}}) : n;
    packed_dim_cut |= packed;
  }
  if (quantised(tensor.dtype)) {
    CHECK(packed_dim_cut, "{} has no quantised dimension", tensor.name);
    return f;
  }
  return f * bytes(tensor.dtype, 1);
}

// How many of a buffer's copies occupy bytes at a moment of a phase.
int64_t copies_at(const Buffer& b, PhaseId phase, int moment) {
  const auto moved = std::count_if(b.moments.begin(), b.moments.end(), [&](int m) { return m < moment; });
  if (b.leaves_in == phase) return b.copies - moved;
  if (b.arrives_in == phase) return moved;
  if (!lives_in(b, phase)) return 0;
  const bool at_moments = b.kind == BufferKind::staging && !b.moments.empty();
  return !at_moments || std::find(b.moments.begin(), b.moments.end(), moment) != b.moments.end() ? b.copies : 0;
}

// The moments at which a phase can be fullest: where copies only arrive, the last; where they only leave, the first.
Range moments_of(const Program& program, PhaseId phase) {
  const int n = program.phases[phase].moments;
  const auto any = [&](PhaseId Buffer::*field) {
    return std::any_of(program.buffers.begin(), program.buffers.end(), [&](const Buffer& b) { return b.*field == phase; });
  };
  return {any(&Buffer::leaves_in) ? 0 : n - 1, any(&Buffer::arrives_in) ? n : 1};
}

// The bytes of one copy of a buffer on core (x, y) = common * fx[x] * fy[y].
struct Separable {
  BufferKind kind;
  int64_t common;
  std::vector<int64_t> fx, fy;
};

// On the positions of `on`, which for a buffer of another region are partly or all outside it: there it has no bytes.
std::vector<int64_t> shifted(const std::vector<int64_t>& f, int from, int on_begin, int on_size) {
  std::vector<int64_t> out(static_cast<size_t>(on_size), 0);
  for (int p = 0; p < on_size; p++)
    if (const int at = on_begin + p - from; at >= 0 && at < static_cast<int>(f.size()))
      out[static_cast<size_t>(p)] = f[static_cast<size_t>(at)];
  return out;
}

Separable separable(const Program& program, const Buffer& b, const Rect& on) {
  const Tensor& t = program.tensors[b.tensor];
  const Rect r = program.regions[b.region].rect;
  Separable s{b.kind, common_factor(t, b), factors(t, b, Axis::x, r.w), factors(t, b, Axis::y, r.h)};
  if (!(r == on)) {
    s.fx = shifted(s.fx, r.x, on.x, on.w);
    s.fy = shifted(s.fy, r.y, on.y, on.h);
  }
  return s;
}
Separable separable(const Program& program, const Buffer& b) { return separable(program, b, program.regions[b.region].rect); }

bool overlap(const Rect& a, const Rect& b) { return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h; }

// Positions with equal factors in all buffers form one class; classes are few, so the fullest core is found among pairs of them.
struct Classes {
  std::vector<int> first;        // [classes] a position of the class
  std::vector<int64_t> members;  // [classes]
};

Classes classes(const std::vector<Separable>& parts, bool along_x, int positions) {
  std::vector<const std::vector<int64_t>*> different;  // most buffers are cut alike
  for (const Separable& s : parts) {
    const std::vector<int64_t>& f = along_x ? s.fx : s.fy;
    if (std::none_of(different.begin(), different.end(), [&](const auto* known) { return *known == f; })) different.push_back(&f);
  }
  std::map<std::vector<int64_t>, size_t> seen;
  Classes c;
  std::vector<int64_t> key(different.size());
  for (int p = 0; p < positions; p++) {
    for (size_t i = 0; i < key.size(); i++) key[i] = (*different[i])[static_cast<size_t>(p)];
    const auto [it, fresh] = seen.try_emplace(key, c.first.size());
    if (fresh) {
      c.first.push_back(p);
      c.members.push_back(0);
    }
    c.members[it->second]++;
  }
  return c;
}

struct LiveCopies {
  const Separable* bytes;
  int64_t copies;
};

CoreBytes sum_at(const std::vector<LiveCopies>& live, int x, int y, int64_t code_bytes) {
  CoreBytes c{.code = code_bytes};
  for (const auto& [s, copies] : live)
    c.by_kind[static_cast<size_t>(s->kind)] += copies * s->common * s->fx[static_cast<size_t>(x)] * s->fy[static_cast<size_t>(y)];
  return c;
}

std::vector<PhaseId> phases_of(const Buffer& b) {
  std::vector<PhaseId> phases = b.phases;
  for (const PhaseId phase : {b.leaves_in, b.arrives_in})
    if (phase.exists()) phases.push_back(phase);
  return phases;
}

// What lies on a region: its own buffers, and those of others over it.
struct OnRegion {
  RegionId region{};
  Rect rect{};
  std::vector<const Buffer*> buffers;
  std::vector<Separable> bytes;  // [buffers] of one copy
  Classes x, y;
};

OnRegion on_region(const Program& program, RegionId region, const std::set<PhaseId>& phases) {
  OnRegion on{.region = region, .rect = program.regions[region].rect, .buffers = {}, .bytes = {}, .x = {}, .y = {}};
  for (const Buffer& b : program.buffers) {
    const std::vector<PhaseId> own = phases_of(b);
    const bool together = std::any_of(own.begin(), own.end(), [&](PhaseId phase) { return phases.contains(phase); });
    if (!together || !overlap(program.regions[b.region].rect, on.rect)) continue;
    on.bytes.push_back(separable(program, b, on.rect));
    on.buffers.push_back(&b);
  }
  on.x = classes(on.bytes, true, on.rect.w);
  on.y = classes(on.bytes, false, on.rect.h);
  return on;
}

// The fullest core of any moment, and the mean of the moment with most.
void take_moment(const OnRegion& on, const std::vector<LiveCopies>& live, int64_t code_bytes, PhaseBytes& row) {
  double sum = 0;
  std::array<double, kBufferKinds> by_kind{};
  for (size_t i = 0; i < on.x.first.size(); i++)
    for (size_t j = 0; j < on.y.first.size(); j++) {
      const CoreBytes c = sum_at(live, on.x.first[i], on.y.first[j], code_bytes);
      const double cores = static_cast<double>(on.x.members[i]) * static_cast<double>(on.y.members[j]);
      sum += static_cast<double>(c.total()) * cores;
      for (size_t k = 0; k < by_kind.size(); k++) by_kind[k] += static_cast<double>(c.by_kind[k]) * cores;
      if (row.fullest.total() >= c.total()) continue;
      row.fullest = c;
      row.x = on.rect.x + on.x.first[i];
      row.y = on.rect.y + on.y.first[j];
    }
  const double mean = sum / static_cast<double>(row.cores);
  if (mean <= row.mean) return;
  row.mean = mean;
  for (size_t k = 0; k < by_kind.size(); k++) row.mean_by_kind[k] = by_kind[k] / static_cast<double>(row.cores);
}

PhaseBytes row_of(const Program& program, const OnRegion& on, PhaseId phase, int64_t code_bytes) {
  PhaseBytes row{.phase = phase, .region = on.region, .cores = int64_t{on.rect.w} * on.rect.h};
  const Range moments = moments_of(program, phase);
  for (int moment = static_cast<int>(moments.begin); moment < moments.end; moment++) {
    std::vector<LiveCopies> live;
    for (size_t i = 0; i < on.buffers.size(); i++)
      if (const int64_t copies = copies_at(*on.buffers[i], phase, moment); copies > 0) live.push_back({&on.bytes[i], copies});
    take_moment(on, live, code_bytes, row);
  }
  return row;
}

}  // namespace

bool quantised(Dtype t) { return t == Dtype::q8_0 || t == Dtype::q4_0; }

bool lives_in(const Buffer& b, PhaseId phase) {
  return std::find(b.phases.begin(), b.phases.end(), phase) != b.phases.end() || b.leaves_in == phase || b.arrives_in == phase;
}

int64_t quantised_bytes(Dtype t, const std::vector<Range>& ranges) {
  int64_t n = 0;
  for (const Range& r : ranges) {
    if (r.size() == 0) continue;
    const int64_t blocks = (r.end - 1) / kBlock - r.begin / kBlock + 1;
    n += bytes(t, r.size()) + kScaleBytes * blocks;
  }
  return n;
}

int64_t CoreBytes::total() const { return std::accumulate(by_kind.begin(), by_kind.end(), code); }

int64_t buffer_bytes(const Program& program, const Buffer& buffer, int x, int y) {
  const Separable s = separable(program, buffer);
  return buffer.copies * s.common * s.fx[static_cast<size_t>(x)] * s.fy[static_cast<size_t>(y)];
}

CoreBytes core_bytes(const Program& program, RegionId region, PhaseId phase, int x, int y, int64_t code_bytes) {
  CoreBytes c{.code = code_bytes};
  for (const Buffer& b : program.buffers)
    if (b.region == region && lives_in(b, phase)) c.by_kind[static_cast<size_t>(b.kind)] += buffer_bytes(program, b, x, y);
  return c;
}

std::vector<PhaseBytes> phase_bytes(const Program& program, int64_t code_bytes, PhaseId only_phase) {
  std::vector<PhaseBytes> rows;
  for (const RegionId region : program.regions.ids()) {
    std::set<PhaseId> own_phases;  // in which a buffer of the region itself lives
    for (const Buffer& b : program.buffers)
      if (b.region == region)
        for (const PhaseId phase : phases_of(b))
          if (!only_phase.exists() || phase == only_phase) own_phases.insert(phase);
    const OnRegion on = on_region(program, region, own_phases);
    for (const PhaseId phase : own_phases) rows.push_back(row_of(program, on, phase, code_bytes));
  }
  return rows;
}

PhaseBytes fullest(const std::vector<PhaseBytes>& rows) {
  CHECK(!rows.empty(), "a program without buffers");
  return *std::max_element(rows.begin(), rows.end(),
                           [](const PhaseBytes& a, const PhaseBytes& b) { return a.fullest.total() < b.fullest.total(); });
}

std::string size_text(int64_t bytes) {
  const auto n = static_cast<double>(bytes);
  if (n < 1e3) return fmt::format("{} bytes", bytes);
  const auto [unit, name] = n < 1e6 ? std::pair(1e3, "KB") : n < 1e9 ? std::pair(1e6, "MB") : std::pair(1e9, "GB");
  return fmt::format("{:.2f} {}", n / unit, name);
}

std::string with_commas(int64_t n) {
  std::string s = std::to_string(n);
  for (int at = static_cast<int>(s.size()) - 3; at > 0; at -= 3) s.insert(static_cast<size_t>(at), ",");
  return s;
}

std::string describe(const PhaseBytes& row, int64_t sram_bytes, const std::string& when) {
  std::string text = fmt::format("core ({},{}) needs {} of {} bytes{}: code and system {}", row.x, row.y, with_commas(row.fullest.total()),
                                 with_commas(sram_bytes), when, with_commas(row.fullest.code));
  for (int k = 0; k < kBufferKinds; k++)
    if (const int64_t n = row.fullest.by_kind[static_cast<size_t>(k)]; n > 0)
      text += fmt::format(", {} {}", name(static_cast<BufferKind>(k)), with_commas(n));
  return text;
}

}  // namespace wafer::mesh
