// The walk of time() through an entry: one set of clocks for each region, one line of the report for each named step.
#include "sim/time.h"

#include <algorithm>
#include <deque>
#include <map>

#include "base/check.h"
#include "mesh/builder.h"
#include "mesh/schedule.h"
#include "sim/clocks.h"

namespace wafer::sim {

using namespace mesh;

namespace {

struct Scope {
  Params params;
  int64_t chunk = 0;
};

struct Timer {
  const Program& program;
  const Device& device;
  const TimeOptions& options;
  TimeReport report{};
  std::map<std::string, size_t> line_of;         // name -> report.steps
  uint64_t latest = 0;                           // of all regions
  std::vector<Clocks> clocks;                    // [regions]
  std::vector<ClockStats> known_stats;           // [regions] of clocks with their floor
  std::map<int, int64_t> sent;                   // [moves]
  std::map<int, std::deque<uint64_t>> arrivals;  // [moves] times at which a sent value is at its place

  // ---- sizes -----------------------------------------------------------------------------------------------------------------------

  const Buffer& buffer(int id) const { return program.buffers[static_cast<size_t>(id)]; }
  const Tensor& tensor(int id) const { return program.tensors[static_cast<size_t>(buffer(id).tensor)]; }
  Extent extent_of(int region) const { return extent(program.regions[static_cast<size_t>(region)].rect); }

  int64_t size_of(int id, size_t d, const Scope& s) const {
    const Size& size = tensor(id).dims[d].size;
    if (size.kind != SizeKind::keys) return value(size, s.params);
    return std::min((s.chunk + 1) * s.params.chunk, s.params.cached + s.params.rows) - s.chunk * s.params.chunk;
  }

  // Elements of a dimension that the core at (x, y) holds.
  int64_t held(int id, size_t d, const Scope& s, int x, int y) const {
    const int64_t n = size_of(id, d, s);
    int64_t count = n;
    for (const DimCut& c : buffer(id).cuts)
      if (c.dim == static_cast<int>(d)) count = std::min(count, count_at(c.cut, n, c.axis == Axis::x ? x : y));
    return count;
  }
  int64_t held(int id, const Scope& s, int x, int y) const {
    int64_t n = 1;
    for (size_t d = 0; d < tensor(id).dims.size(); d++) n *= held(id, d, s, x, y);
    return n;
  }

  const Cut* cut_of(int id, int d, Axis axis) const {
    for (const DimCut& c : buffer(id).cuts)
      if (c.dim == d && c.axis == axis) return &c.cut;
    return nullptr;
  }

  LocalSize local_size(const Local& op, const Scope& s, int x, int y) const {
    LocalSize z;
    const bool rows = !op.in.empty() && tensor(op.in[0]).dims.front().size.kind == SizeKind::rows;
    if (rows) z.rows = held(op.in[0], 0, s, x, y);
    switch (op.op) {
      case LocalOp::square_sum:
      case LocalOp::local_best:
      case LocalOp::store_rows: z.elements = held(op.in[0], s, x, y); break;
      case LocalOp::mat_vec:
        z.k = held(op.in[0], 0, s, x, y);
        z.n = held(op.in[0], 1, s, x, y);
        break;
      case LocalOp::rotate:
        z.elements = held(op.out[0], s, x, y);
        z.dims = 2 * held(op.in[1], 0, s, x, y);
        break;
      case LocalOp::row_dots:
        z.heads = held(op.out[0], 0, s, x, y);
        z.keys = held(op.out[0], 1, s, x, y);
        z.dims = z.heads == 0 ? 0 : held(op.in[0], s, x, y) / z.heads;
        break;
      case LocalOp::row_max:
      case LocalOp::exp_sum: {
        const bool prefill = tensor(op.in[0]).dims.size() == 3;
        z.heads = held(op.in[0], 0, s, x, y);
        z.rows = prefill ? held(op.in[0], 1, s, x, y) : 1;
        z.keys = held(op.in[0], prefill ? 2 : 1, s, x, y);
        break;
      }
      case LocalOp::weigh_rows:
        z.heads = held(op.in[0], 0, s, x, y);
        z.keys = held(op.in[0], 1, s, x, y);
        z.dims = z.heads == 0 ? 0 : held(op.out[0], s, x, y) / z.heads;
        break;
      case LocalOp::divide: {
        z.heads = held(op.in[1], 0, s, x, y);
        z.rows = tensor(op.in[1]).dims.size() == 2 ? held(op.in[1], 1, s, x, y) : 1;
        const int64_t vectors = z.heads * z.rows;
        z.dims = vectors == 0 ? 0 : held(op.in[0], s, x, y) / vectors;
        break;
      }
      default: z.elements = op.out.empty() ? 0 : held(op.out[0], s, x, y); break;
    }
    return z;
  }

  // Positions along an axis at which every operand holds the same counts.
  std::vector<int> classes(const Local& op, const Scope& s, Axis axis, int positions, std::vector<int>& representatives) const {
    std::map<std::vector<int64_t>, int> seen;
    std::vector<int> out;
    for (int p = 0; p < positions; p++) {
      std::vector<int64_t> key;
      for (const std::vector<int>* list : {&op.in, &op.out})
        for (int id : *list)
          for (const DimCut& c : buffer(id).cuts)
            if (c.axis == axis) key.push_back(count_at(c.cut, size_of(id, static_cast<size_t>(c.dim), s), p));
      // A decode step's new row is stored by the last row of cores alone.
      if (op.op == LocalOp::store_rows && axis == Axis::y) key.push_back(p == positions - 1);
      const auto [it, fresh] = seen.try_emplace(std::move(key), static_cast<int>(representatives.size()));
      if (fresh) representatives.push_back(p);
      out.push_back(it->second);
    }
    return out;
  }

  // ---- steps -----------------------------------------------------------------------------------------------------------------------

  void local(Clocks& c, const Local& op, const Scope& s, Tally& tally) const {
    std::vector<int> rep_x, rep_y;
    const std::vector<int> cx = classes(op, s, Axis::x, c.w, rep_x), cy = classes(op, s, Axis::y, c.h, rep_y);
    const bool bottom_only = op.op == LocalOp::store_rows && tensor(op.in[0]).dims.size() == 1;
    std::vector<uint32_t> cost(rep_x.size());
    std::vector<uint32_t> row_cost(static_cast<size_t>(c.w));
    for (size_t k = 0; k < rep_y.size(); k++) {
      const int64_t rows_of_class = std::count(cy.begin(), cy.end(), static_cast<int>(k));
      for (size_t q = 0; q < rep_x.size(); q++) {
        cost[q] = 0;
        if (bottom_only && rep_y[k] != c.h - 1) continue;
        const LocalCost one = local_cost(device, program.numerics, op.op, local_size(op, s, rep_x[q], rep_y[k]));
        cost[q] = static_cast<uint32_t>(one.cycles);
        const int64_t cores = rows_of_class * std::count(cx.begin(), cx.end(), static_cast<int>(q));
        tally.compute += static_cast<double>(one.cycles * cores);
        tally.multiply_adds += one.multiply_adds * cores;
        tally.actions = tally.actions + cores * one.actions;
      }
      for (int x = 0; x < c.w; x++) row_cost[static_cast<size_t>(x)] = cost[static_cast<size_t>(cx[static_cast<size_t>(x)])];
      for (int y = 0; y < c.h; y++) {
        if (cy[static_cast<size_t>(y)] != static_cast<int>(k)) continue;
        uint32_t* t = c.row(y);
        for (int x = 0; x < c.w; x++) t[x] += row_cost[static_cast<size_t>(x)];
      }
    }
  }

  void reduce(Clocks& c, const Reduce& r, const Scope& s, Tally& tally) const {
    // Wavelets of the payload on each line, for each run: the same on all cores of a run.
    const int lines = r.axis == Axis::y ? c.w : c.h;
    std::vector<std::vector<int64_t>> words;
    for (const Range& run : r.forest.runs) {
      std::vector<int64_t> n(static_cast<size_t>(lines), 0);
      for (int l = 0; l < lines; l++)
        for (int id : r.payload) {
          const int p = static_cast<int>(run.begin);
          n[static_cast<size_t>(l)] += wavelets(device, tensor(id).dtype, r.axis == Axis::y ? held(id, s, l, p) : held(id, s, p, l));
        }
      words.push_back(std::move(n));
    }
    if (r.axis == Axis::y) return time_reduce(c, device, r.forest, r.broadcast, words, tally);
    Clocks turned = transposed(c);
    time_reduce(turned, device, r.forest, r.broadcast, words, tally);
    c = transposed(turned);
  }

  // The owner is known at run time only: the farthest one is assumed (too long by at most the line). Relayed from core to core.
  void multicast(Clocks& c, const Multicast& m, const Scope& s, Tally& tally) const {
    CHECK(m.axis == Axis::x, "multicast along x");
    std::vector<std::vector<int64_t>> words(1);
    for (int y = 0; y < c.h; y++) words[0].push_back(wavelets(device, tensor(m.buffer).dtype, held(m.buffer, s, 0, y)));
    Clocks turned = transposed(c);
    Tree chain{.size = c.w, .root = c.w - 1, .levels = {}};
    if (c.w > 1) {
      Chain all;
      for (int p = 0; p < c.w; p++) all.push_back(p);
      chain.levels = {{all}};
    }
    time_reduce(turned, device, {.runs = {{0, c.w}}, .trees = {chain}}, false, words, tally);
    c = transposed(turned);
  }

  void row_shift(Clocks& c, const RowShift& shift, const Scope& s, Tally& tally) const {
    const uint32_t issue = static_cast<uint32_t>(stream_issue_cycles(device)),
                   way = static_cast<uint32_t>(2 * device.ramp_cycles + device.hop_cycles);
    const int64_t n = s.params.cached, first = c.h - n % c.h;  // rows from `first` on pass an entry up
    std::vector<uint32_t> words(static_cast<size_t>(c.w), 0);
    for (int x = 0; x < c.w; x++)
      for (int id : shift.buffers)
        words[static_cast<size_t>(x)] += static_cast<uint32_t>(wavelets(device, tensor(id).dtype, held(id, 1, s, x, 0)));
    for (int64_t y = std::max<int64_t>(1, first); y < c.h; y++) {
      // Row y sends to y - 1; the rows go on at the same time, so row y's own receive (from y + 1) comes later in this loop.
      uint32_t *from = c.row(static_cast<int>(y)), *to = c.row(static_cast<int>(y) - 1);
      for (int x = 0; x < c.w; x++) {
        const uint32_t w = words[static_cast<size_t>(x)];
        if (w == 0) continue;
        const uint32_t done = from[x] + issue + w;
        to[x] = std::max(to[x] + (y == first ? issue : 0), done + way);
        from[x] = done;
        tally.wavelets += w;
        tally.received += w;
        tally.hops += w;
        tally.communicate += 2.0 * (issue + w);
      }
    }
  }

  // A product's sizes on one rectangle.
  ProductSizes product_sizes(const Group& g, const Scope& s, Range columns, int64_t head, int region) const {
    const Extent e = extent_of(region);
    const int L = std::max(static_cast<int>(columns.size()), e.h);
    ProductSizes z{
        .columns = columns, .rows = {}, .k = {}, .n = {}, .a = tensor(g.a).dtype, .b = tensor(g.b).dtype, .sum = tensor(g.c).dtype};
    auto counts = [](const std::vector<std::vector<Range>>& tiles) {
      std::vector<int64_t> n;
      for (const auto& t : tiles) n.push_back(count(t));
      return n;
    };
    const Cut& rows_y = *cut_of(g.a, tensor(g.a).dims.size() == 3 ? 1 : 0, Axis::y);
    z.rows = counts(logical_tiles(rows_y, s.params.rows, L));
    if (g.heads == 0) {
      z.k = counts(logical_tiles(*cut_of(g.a, 1, Axis::x), size_of(g.a, 1, s), L));
      z.n = counts(logical_tiles(*cut_of(g.c, 1, Axis::x), size_of(g.c, 1, s), L));
      return z;
    }
    const int64_t keys = std::min((s.chunk + 1) * s.params.chunk, s.params.cached + s.params.rows) - s.chunk * s.params.chunk;
    const int64_t kv_dim = size_of(g.b, 1, s), head_dim = kv_dim / g.heads;
    const Range dims{head * head_dim, (head + 1) * head_dim};
    z.k = counts(logical_tiles(rows_y, keys, L));
    if (g.kind == GroupKind::gemm) {
      z.n = counts(logical_tiles(*cut_of(g.c, 1, Axis::x), kv_dim, L, columns, dims));
      z.align_b = true;
    } else {
      z.n = std::move(z.k);
      z.k.clear();
      for (int64_t x = columns.begin; x < columns.end; x++) {
        int64_t own = 0;
        for (const Range& r : ranges_at(*cut_of(g.b, 1, Axis::x), kv_dim, static_cast<int>(x)))
          own += std::max<int64_t>(0, std::min(r.end, dims.end) - std::max(r.begin, dims.begin));
        z.k.push_back(own);
      }
    }
    return z;
  }

  void product(Clocks& c, const Group& g, const Scope& s, int region, Tally& tally) const {
    const int W = c.w;
    for (size_t r = 0; r < g.runs.size(); r++) {
      int64_t first_head = static_cast<int64_t>(r), heads = 1;
      if (g.heads > W) {
        const Range own = heads_at(g.heads, W, static_cast<int>(g.runs[r].begin));
        first_head = own.begin;
        heads = own.size();
      }
      ProductSizes z = product_sizes(g, s, g.runs[r], first_head, region);
      z.heads = heads;
      z.align_a = g.kind == GroupKind::gemm && !g.aligned;
      if (g.kind == GroupKind::gemm)
        time_gemm(c, device, program.numerics, z, options.ring_steps, tally);
      else
        time_gemm_t(c, device, program.numerics, z, options.ring_steps, tally);
    }
  }

  // ---- moves -----------------------------------------------------------------------------------------------------------------------

  // A value of one region for another: issued by all cores at once, over the distance between the two regions, then spread over the lines
  // of the destination. A relayout within reach of the bisection: a line of S cores with n wavelets a core needs S n / 4 cycles a
  // direction.
  int64_t move_cycles(const Move& m, const Scope& s, Tally& tally) const {
    const Rect from = program.regions[static_cast<size_t>(buffer(m.source).region)].rect,
               to = program.regions[static_cast<size_t>(buffer(m.destination).region)].rect;
    int64_t most = 0;
    const bool row = m.kind != MoveKind::relay;
    const int carrier = m.kind == MoveKind::row_in ? m.source : m.destination;
    for (int x : {0, to.w / 2, to.w - 1})
      for (int y : {0, to.h / 2, to.h - 1})
        most = std::max(most, held(carrier, s, std::min(x, (carrier == m.source ? from : to).w - 1),
                                   std::min(y, (carrier == m.source ? from : to).h - 1)));
    const int64_t n = std::max<int64_t>(1, wavelets(device, tensor(m.source).dtype, most));
    const int64_t distance = std::abs(from.x - to.x) + std::abs(from.y - to.y);
    const bool same_place = from == to && !row && buffer(m.source).cuts.size() == buffer(m.destination).cuts.size() &&
                            tensor(m.source).dims.size() == tensor(m.destination).dims.size();
    const int64_t per_leg = stream_issue_cycles(device) + 2 * device.ramp_cycles;
    tally.wavelets += n * to.w * to.h;
    tally.received += n * to.w * to.h;
    tally.hops += n * to.w * to.h * std::max<int64_t>(1, distance);
    if (same_place && from == to) return 2 * per_leg + n;
    return 2 * per_leg + n + (distance + to.w + to.h) * device.hop_cycles + (row ? 0 : n * (to.w + to.h) / 4);
  }

  // ---- the walk ----------------------------------------------------------------------------------------------------------------------

  size_t line(const std::string& name) {
    const auto [it, fresh] = line_of.try_emplace(name, report.steps.size());
    if (fresh) report.steps.push_back({.name = name});
    return it->second;
  }

  // Does a leaf or a product, and books what it moved the latest clock by. Sends and receives only raise the floor of a region.
  void leaf(const Step& step, int region, const Scope& s) {
    Clocks& c = clocks[static_cast<size_t>(region)];
    ClockStats& known = known_stats[static_cast<size_t>(region)];
    const uint64_t before = std::max(latest, known.latest);
    const double sum_before = known.sum;
    Tally tally;
    if (const auto* send = std::get_if<Send>(&step.what)) {
      const Move& move = program.moves[static_cast<size_t>(send->move)];
      arrivals[send->move].push_back(known.latest + static_cast<uint64_t>(move_cycles(move, s, tally)));
      sent[send->move]++;
      hold(c, known, known.latest + static_cast<uint64_t>(stream_issue_cycles(device)));
    } else if (const auto* receive = std::get_if<Receive>(&step.what)) {
      std::deque<uint64_t>& queue = arrivals[receive->move];
      CHECK(!queue.empty(), "nothing has been sent for {}", step.name);
      hold(c, known, queue.front());
      queue.pop_front();
      sent[receive->move]--;
    } else {
      settle(c);
      const std::vector<uint64_t> start = options.watch ? absolute(c) : std::vector<uint64_t>();
      if (const auto* op = std::get_if<Local>(&step.what))
        local(c, *op, s, tally);
      else if (const auto* r = std::get_if<Reduce>(&step.what))
        reduce(c, *r, s, tally);
      else if (const auto* m = std::get_if<Multicast>(&step.what))
        multicast(c, *m, s, tally);
      else if (const auto* shift = std::get_if<RowShift>(&step.what))
        row_shift(c, *shift, s, tally);
      else if (const auto* g = std::get_if<Group>(&step.what))
        product(c, *g, s, region, tally);
      known = stats(c);
      if (options.watch) options.watch({.name = step.name, .region = region, .start = start, .end = absolute(c)});
    }
    StepTime& out = report.steps[line(step.name)];
    out.count++;
    latest = std::max(before, known.latest);
    out.cycles += static_cast<int64_t>(latest - before);
    const double passed = known.sum - sum_before;
    out.compute += tally.compute;
    out.communicate += std::min(tally.communicate, passed - tally.compute);
    out.wait += std::max(0.0, passed - tally.compute - tally.communicate);
    out.wavelets += tally.wavelets;
    out.wavelet_hops += tally.hops;
    out.multiply_adds += tally.multiply_adds;
    out.actions = out.actions + tally.actions;
    report.wavelets_sent += tally.wavelets;
    report.wavelets_received += tally.received;
  }

  // All cores of a region wait for a time. Where some are later already, the sum of clocks is known only after the next step that reads
  // them one by one, and their waiting is booked there.
  static void hold(Clocks& c, ClockStats& known, uint64_t time) {
    c.floor = std::max(c.floor, time);
    if (time <= known.earliest) return;
    known.earliest = time;
    if (time < known.latest) return;
    known.latest = time;
    known.sum = static_cast<double>(time) * static_cast<double>(c.t.size());
  }

  static std::vector<uint64_t> absolute(const Clocks& c) {
    std::vector<uint64_t> all;
    all.reserve(c.t.size());
    for (uint32_t v : c.t) all.push_back(c.base + v);
    return all;
  }

  int64_t turns(const Loop& loop, const Scope& s) const {
    switch (loop.count) {
      case CountKind::fixed: return loop.fixed;
      case CountKind::chunks: return s.params.cached / s.params.chunk + 1;
      case CountKind::rows: return s.params.rows;
    }
    return 0;
  }

  // Whether any leaf of the steps is of a kind.
  template <class Kind>
  static bool any(const Steps& steps) {
    return std::any_of(steps.begin(), steps.end(), [](const Step& st) {
      if (std::holds_alternative<Kind>(st.what)) return true;
      if (const auto* g = std::get_if<Group>(&st.what)) return any<Kind>(g->body);
      if (const auto* l = std::get_if<Loop>(&st.what)) return any<Kind>(l->body);
      return false;
    });
  }

  // Whether two sets of clocks differ by one number.
  static bool same_pattern(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
    const uint32_t shift = b[0] - a[0];
    for (size_t i = 0; i < a.size(); i++)
      if (b[i] - a[i] != shift) return false;
    return true;
  }

  // All turns of a loop. Turns with the same sizes repeat: once a turn leaves the pattern of clocks as it found it, so do all later ones,
  // exactly; after options.turns of them the rest is taken to last as long as the latest.
  void loop(const Loop& l, int region, Scope s) {
    const int64_t n = turns(l, s);
    const bool receives = any<Receive>(l.body), sends = any<Send>(l.body);
    Clocks& c = clocks[static_cast<size_t>(region)];
    ClockStats& known = known_stats[static_cast<size_t>(region)];
    for (int64_t i = 0; i < n; i++) {
      if (l.var == LoopVar::chunk) s.chunk = i;
      // The last turn over chunks of keys may be shorter than the others.
      const int64_t equal_turns = l.var == LoopVar::chunk && (s.params.cached + s.params.rows) % s.params.chunk != 0 ? n - 1 : n;
      const int64_t left = equal_turns - 1 - i;
      // What comes from elsewhere comes when it comes; a loop that only receives what it sends itself repeats.
      const bool repeats =
          !receives || (sends && std::all_of(arrivals.begin(), arrivals.end(), [](const auto& a) { return a.second.empty(); }));
      if (!repeats || left <= 0) {
        steps(l.body, region, s);
        continue;
      }
      settle(c);
      const std::vector<uint32_t> before = c.t;
      const ClockStats stats_before = known;
      const TimeReport report_before = report;
      const std::map<int, std::deque<uint64_t>> arrivals_before = sends ? arrivals : std::map<int, std::deque<uint64_t>>();
      steps(l.body, region, s);
      settle(c);
      const bool same = same_pattern(before, c.t);
      if (!same && (options.turns == 0 || i + 1 < options.turns)) continue;
      const uint64_t rest = static_cast<uint64_t>(left) * (known.latest - stats_before.latest);
      c.base += rest;
      if (sends) repeat_sends(arrivals_before, left, known.latest - stats_before.latest);
      known = {.earliest = known.earliest + rest,
               .latest = known.latest + rest,
               .sum = known.sum + static_cast<double>(rest) * static_cast<double>(c.t.size())};
      const uint64_t before_repeat = latest;
      latest = std::max(latest, known.latest);
      repeat(report_before, left, static_cast<int64_t>(latest - before_repeat));
      i += left;
    }
  }

  // What the latest turn of a loop sent is sent `times` more times, a turn's cycles later each.
  void repeat_sends(const std::map<int, std::deque<uint64_t>>& before, int64_t times, uint64_t cycles) {
    for (auto& [move, queue] : arrivals) {
      const auto old = before.find(move);
      const size_t known = old == before.end() ? 0 : old->second.size(), fresh = queue.size() - known;
      for (int64_t turn = 0; turn < times; turn++)
        for (size_t q = 0; q < fresh; q++) queue.push_back(queue[queue.size() - fresh] + cycles);
      sent[move] += times * static_cast<int64_t>(fresh);
    }
  }

  // Books the difference to an earlier state of the report `times` more times. `cycles` is by how much that moves the latest clock: more
  // than the steps say where the region has caught up with another in the meantime; the last step takes what is left.
  void repeat(const TimeReport& before, int64_t times, int64_t cycles) {
    for (size_t k = 0; k < report.steps.size(); k++) {
      StepTime& now = report.steps[k];
      const StepTime old = k < before.steps.size() ? before.steps[k] : StepTime{};
      const double f = static_cast<double>(times);
      now.count += times * (now.count - old.count);
      const int64_t more = times * (now.cycles - old.cycles);
      now.cycles += more;
      cycles -= more;
      now.compute += f * (now.compute - old.compute);
      now.communicate += f * (now.communicate - old.communicate);
      now.wait += f * (now.wait - old.wait);
      now.multiply_adds += times * (now.multiply_adds - old.multiply_adds);
      now.actions = now.actions + times * (now.actions + -1 * old.actions);
      now.wavelets += times * (now.wavelets - old.wavelets);
      now.wavelet_hops += times * (now.wavelet_hops - old.wavelet_hops);
    }
    report.steps.back().cycles += cycles;
    report.wavelets_sent += times * (report.wavelets_sent - before.wavelets_sent);
    report.wavelets_received += times * (report.wavelets_received - before.wavelets_received);
  }

  void steps(const Steps& list, int region, const Scope& s) {
    for (const Step& st : list) step(st, region, s);
  }

  void step(const Step& st, int region, const Scope& s) {
    if (const auto* l = std::get_if<Loop>(&st.what)) return loop(*l, region, s);
    if (const auto* g = std::get_if<Group>(&st.what); g != nullptr && g->kind != GroupKind::gemm && g->kind != GroupKind::gemm_t)
      return steps(g->body, region, s);
    leaf(st, region, s);
  }
};

}  // namespace

TimeReport time_entry(const Program& program, const Device& device, const std::string& entry_name, const Params& params,
                      const TimeOptions& options) {
  const Entry& e = entry(program, entry_name);
  Timer timer{.program = program, .device = device, .options = options};
  for (const Region& r : program.regions) {
    Clocks c{.w = r.rect.w, .h = r.rect.h, .t = {}};
    timer.clocks.push_back(std::move(c));
  }
  timer.known_stats.resize(timer.clocks.size());
  for (const RegionSteps& list : e.lists) {
    Clocks& c = timer.clocks[static_cast<size_t>(list.region)];
    c.t.assign(static_cast<size_t>(c.w) * static_cast<size_t>(c.h), 0);
  }
  // Regions wait for each other: what one of them idles is not a step's. The cycles of the steps of the list that ends last, and of those
  // it waited for, add up to the whole.
  run_lists(e, timer.sent, [&](size_t l, const Step& step) { timer.step(step, e.lists[l].region, {.params = params}); });
  timer.report.cycles = static_cast<int64_t>(timer.latest);
  return timer.report;
}

}  // namespace wafer::sim
