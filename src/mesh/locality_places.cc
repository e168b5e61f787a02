// Where operands lie: the cuts of buffers by themselves, and the operands of local steps against each other, position by position.
#include <fmt/format.h>

#include <algorithm>

#include "mesh/locality_walk.h"

namespace wafer::mesh::locality {

const Cut* cut_on(const Buffer& buffer, int dim, Axis axis) {
  for (const DimCut& c : buffer.cuts)
    if (c.dim == dim && c.axis == axis && c.cut.kind != CutKind::whole) return &c.cut;
  return nullptr;
}

Ranges held(const Cut* cut, int64_t n, int position) {
  if (cut != nullptr) return ranges_at(*cut, n, position);
  Ranges all;
  append(all, {0, n});
  return all;
}

bool same_cut(const Cut* a, const Cut* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->kind == b->kind && a->positions == b->positions && a->logical == b->logical && a->chunk == b->chunk &&
         a->other_side == b->other_side && a->other_logical == b->other_logical && a->run_positions == b->run_positions &&
         (a->table == b->table || (a->table && b->table && *a->table == *b->table));
}

int first_difference(const Cut* a, const Cut* b, int64_t n, int positions) {
  if (same_cut(a, b)) return -1;
  for (int at = 0; at < positions; at++)
    if (held(a, n, at) != held(b, n, at)) return at;
  return -1;
}

int64_t size_of(const Size& size, const Context& c) {
  if (size.kind != SizeKind::keys) return value(size, c.params);
  return std::clamp<int64_t>(c.params.cached + c.params.rows - c.chunk * c.params.chunk, 0, c.params.chunk);
}

std::string text_of(const Ranges& ranges) {
  if (ranges.empty()) return "nothing";
  std::string text;
  for (size_t i = 0; i < ranges.size() && i < 3; i++) text += fmt::format("{}[{},{})", i == 0 ? "" : " ", ranges[i].begin, ranges[i].end);
  return ranges.size() > 3 ? text + fmt::format(" and {} more", ranges.size() - 3) : text;
}

Ranges sorted(Ranges ranges, bool* twice) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  Ranges out;
  for (const Range& r : ranges) {
    if (twice != nullptr && !out.empty() && r.begin < out.back().end) *twice = true;
    append(out, r);
  }
  return out;
}

void check_buffers(Checker& c) {
  IdVector<TensorId, int> copies(c.p.tensors.size(), 0);
  for (const Buffer& b : c.p.buffers) copies[b.tensor] = std::max(copies[b.tensor], b.first_copy + b.copies);
  for (const BufferId id : c.p.buffers.ids())
    if (copies[c.buffer(id).tensor] != c.tensor(id).copies)
      c.report(Rule::elsewhere, {.region = c.buffer(id).region}, id,
               fmt::format("tensor {} has {} copies, of which {} lie anywhere", c.tensor(id).name, c.tensor(id).copies,
                           copies[c.buffer(id).tensor]));
  for (const BufferId id : c.p.buffers.ids()) {
    const Buffer& b = c.buffer(id);
    const Tensor& t = c.tensor(id);
    const Extent e = c.extent_of(b.region);
    const Place nowhere{.region = b.region};
    const auto report = [&](const std::string& text, Axis axis = Axis::x, int at = 0) {
      c.report_at(Rule::elsewhere, nowhere, id, text, axis, at);
    };
    if (b.first_copy < 0 || b.copies < 0 || b.first_copy + b.copies > t.copies)
      report(fmt::format("copies {} to {} of the {} of tensor {}", b.first_copy, b.first_copy + b.copies - 1, t.copies, t.name));
    if (!b.limits.empty() && b.limits.size() != t.dims.size())
      report(fmt::format("{} limits for {} dimensions", b.limits.size(), t.dims.size()));
    for (size_t i = 0; i < b.cuts.size(); i++) {
      const DimCut& cut = b.cuts[i];
      const int positions = side(e, cut.axis);
      if (cut.dim < 0 || cut.dim >= static_cast<int>(t.dims.size())) {
        report(fmt::format("a cut of dimension {} of {}", cut.dim, t.dims.size()), cut.axis);
        continue;
      }
      if (cut.cut.kind == CutKind::whole) continue;
      if (cut.cut.positions != positions) {
        report(fmt::format("dimension {} is cut for {} positions along {}, where the region has {}",
                           t.dims[static_cast<size_t>(cut.dim)].name, cut.cut.positions, name(cut.axis), positions),
               cut.axis);
        continue;
      }
      for (size_t other = 0; other < i; other++)
        if (b.cuts[other].dim == cut.dim && b.cuts[other].axis == cut.axis)
          report(fmt::format("dimension {} is cut twice along {}", t.dims[static_cast<size_t>(cut.dim)].name, name(cut.axis)), cut.axis);
      // The rules of a cut leave nothing out; a table may.
      if (cut.cut.kind != CutKind::table) continue;
      Ranges all;
      for (const Ranges& at : *cut.cut.table) all.insert(all.end(), at.begin(), at.end());
      Ranges want;
      const int64_t n = t.dims[static_cast<size_t>(cut.dim)].size.limit;
      append(want, {0, n});
      std::sort(all.begin(), all.end(), [](const Range& l, const Range& r) { return l.begin < r.begin; });
      Ranges joined;
      for (const Range& r : all) {
        if (!joined.empty() && r.begin <= joined.back().end)
          joined.back().end = std::max(joined.back().end, r.end);
        else
          append(joined, r);
      }
      if (joined != want)
        report(fmt::format("the positions along {} hold {} of dimension {}, not [0,{})", name(cut.axis), text_of(joined),
                           t.dims[static_cast<size_t>(cut.dim)].name, n),
               cut.axis);
    }
  }
}

namespace {

// The heads of flattened dims, and what else follows from those.
Ranges heads_of(const Ranges& dims, int64_t head_dim) {
  Ranges heads;
  for (const Range& r : dims)
    for (int64_t h = r.begin / head_dim; h * head_dim < r.end; h++) heads.push_back({h, h + 1});
  return sorted(heads);
}
Ranges kv_dims_of(const Ranges& q, int64_t head_dim, int64_t group) {
  Ranges v;
  for (const Range& r : q)
    for (int64_t h = r.begin / head_dim; h * head_dim < r.end; h++) {
      const int64_t begin = std::max(r.begin - h * head_dim, int64_t{0}), end = std::min(r.end - h * head_dim, head_dim);
      v.push_back({h / group * head_dim + begin, h / group * head_dim + end});
    }
  std::sort(v.begin(), v.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  v.erase(std::unique(v.begin(), v.end()), v.end());  // every query head of a group
  return sorted(v);
}
Ranges pairs_of(const Ranges& dims, int64_t head_dim) {
  Ranges pairs;
  for (const Range& r : dims)
    for (int64_t h = r.begin / head_dim; h * head_dim < r.end; h++)
      pairs.push_back({std::max(r.begin - h * head_dim, int64_t{0}) / 2, (std::min(r.end - h * head_dim, head_dim) + 1) / 2});
  std::sort(pairs.begin(), pairs.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  return sorted(pairs);
}
Ranges dims_of(const Ranges& heads, int64_t head_dim) {
  Ranges dims;
  for (const Range& h : heads) append(dims, {h.begin * head_dim, h.end * head_dim});
  return sorted(dims);
}

bool inside(const Ranges& inner, const Ranges& outer) {
  return std::all_of(inner.begin(), inner.end(), [&](const Range& r) {
    return std::any_of(outer.begin(), outer.end(), [&](const Range& o) { return o.begin <= r.begin && r.end <= o.end; });
  });
}

// The operands of a step, taken apart.
struct LocalCheck {
  Checker& c;
  const Place& at;
  const Local& op;
  const Operation& row;
  std::vector<BufferId> ids{};
  std::vector<Operand> operands{};

  struct Named {
    BufferId id{};
    int dim = 0;
  };
  std::vector<Named> dims_named(char letter, bool inputs_only = false) const {
    std::vector<Named> found;
    for (size_t i = 0; i < operands.size(); i++)
      for (size_t d = 0; d < operands[i].dims.size(); d++)
        if (operands[i].dims[d] == letter && !(inputs_only && operands[i].out)) found.push_back({ids[i], static_cast<int>(d)});
    return found;
  }
  std::optional<Named> first(char letter) const {
    const auto found = dims_named(letter);
    return found.empty() ? std::nullopt : std::optional(found.front());
  }
  const Cut* cut(const Named& n, Axis axis) const { return cut_on(c.buffer(n.id), n.dim, axis); }
  int64_t size(const Named& n) const { return c.size(n.id, static_cast<size_t>(n.dim), at.context); }
  const std::string& dim_name(const Named& n) const { return c.tensor(n.id).dims[static_cast<size_t>(n.dim)].name; }
  int positions(Axis axis) const { return side(c.extent_of(at.region), axis); }

  void wrong(const std::string& text, BufferId about = {}) { c.report(Rule::operands, at, about, text); }

  bool take_form() {
    for (const BufferId b : op.in) ids.push_back(b);
    for (const BufferId b : op.out) ids.push_back(b);
    std::string ranks;
    for (const char* form : {row.of_rows, row.of_token}) {
      if (*form == '\0') continue;
      operands = operands_of(form);
      // Any number of buffers is cleared.
      while (op.op == LocalOp::clear && operands.size() < ids.size()) operands.push_back(operands.front());
      const size_t in = static_cast<size_t>(std::count_if(operands.begin(), operands.end(), [](const Operand& o) { return !o.out; }));
      if (in != op.in.size() || operands.size() != ids.size()) {
        wrong(fmt::format("{} takes {} inputs and {} outputs ({}), here are {} and {}", row.name, in, operands.size() - in, form,
                          op.in.size(), op.out.size()));
        return false;
      }
      bool fits = true;
      for (size_t i = 0; i < ids.size(); i++)
        fits &= operands[i].dims == "*" || (operands[i].dims == "1" && c.tensor(ids[i]).dims.size() == 1) ||
                operands[i].dims.size() == c.tensor(ids[i]).dims.size();
      if (fits) return true;
      ranks += (ranks.empty() ? "" : " or ") + std::string(form);
    }
    std::string found;
    for (const BufferId b : ids) found += fmt::format(" {} of {}", c.buffer(b).name, c.tensor(b).dims.size());
    wrong(fmt::format("{} is for the dimensions {}, but its operands have others:{}", row.name, ranks, found));
    return false;
  }

  void check_fields() {
    const struct {
      unsigned field;
      const char* name;
      bool set;
    } fields[] = {
        {kScale, "scale", op.scale != 1.0f},      {kEpsilon, "epsilon", op.epsilon != 0.0f}, {kSize, "size", op.size != 0},
        {kHeadDim, "head_dim", op.head_dim != 0}, {kGroup, "group", op.group != 1},
    };
    for (const auto& f : fields)
      if (f.set && (row.fields & f.field) == 0) wrong(fmt::format("{} has a {}, which it does not use", row.name, f.name));
  }

  // Equal letters: equal sizes, and the same ranges on every position of both axes.
  void check_letters() {
    for (char letter = 'a'; letter <= 'z'; letter++) {
      const std::vector<Named> all = dims_named(letter);
      for (size_t i = 1; i < all.size(); i++) same_places(all[0], all[i]);
    }
    for (size_t i = 0; i < ids.size(); i++)
      for (size_t d = 0; d < operands[i].dims.size(); d++)
        if (const char letter = operands[i].dims[d]; letter == '1' || letter == '2')
          if (const int64_t n = c.size(ids[i], d, at.context); n != letter - '0')
            wrong(fmt::format("buffer {} has {} elements where {} needs {}", c.buffer(ids[i]).name, n, row.name, letter - '0'), ids[i]);
    // '*': all dimensions of all operands alike.
    for (size_t i = 1; i < ids.size(); i++) {
      if (operands[i].dims != "*" || op.in.empty()) continue;
      if (c.tensor(ids[i]).dims.size() != c.tensor(ids[0]).dims.size()) {
        wrong(fmt::format("buffers {} and {} have {} and {} dimensions", c.buffer(ids[0]).name, c.buffer(ids[i]).name,
                          c.tensor(ids[0]).dims.size(), c.tensor(ids[i]).dims.size()),
              ids[i]);
        continue;
      }
      for (size_t d = 0; d < c.tensor(ids[0]).dims.size(); d++) same_places({ids[0], static_cast<int>(d)}, {ids[i], static_cast<int>(d)});
    }
  }

  void same_places(const Named& a, const Named& b) {
    if (size(a) != size(b)) {
      wrong(fmt::format("buffer {} has {} of dimension {}, buffer {} {} of dimension {}", c.buffer(a.id).name, size(a), dim_name(a),
                        c.buffer(b.id).name, size(b), dim_name(b)),
            b.id);
      return;
    }
    for (const Axis axis : {Axis::x, Axis::y})
      if (const int p = first_difference(cut(a, axis), cut(b, axis), size(a), positions(axis)); p >= 0)
        c.report_at(Rule::elsewhere, at, b.id,
                    fmt::format("position {} along {} holds {} of {} (buffer {}), but {} of {} (buffer {})", p, name(axis),
                                text_of(held(cut(a, axis), size(a), p)), dim_name(a), c.buffer(a.id).name,
                                text_of(held(cut(b, axis), size(b), p)), dim_name(b), c.buffer(b.id).name),
                    axis, p);
  }

  // A dimension that follows from another one: `image` of what a position holds of `from` must be in what it holds of `to`, or be it.
  template <class Image>
  void follows(char from, char to, bool exactly, const Image& image) {
    const auto a = first(from), b = first(to);
    if (!a || !b) return;
    for (const Axis axis : {Axis::x, Axis::y}) {
      const Cut *ca = cut(*a, axis), *cb = cut(*b, axis);
      if (ca == nullptr && cb == nullptr) continue;
      for (int p = 0; p < positions(axis); p++) {
        const Ranges own = held(ca, size(*a), p), needs = image(own), has = sorted(held(cb, size(*b), p));
        if (exactly ? needs == has : inside(needs, has)) continue;
        c.report_at(Rule::elsewhere, at, b->id,
                    fmt::format("position {} along {} holds {} of {} (buffer {}), which goes with {} of {}, but buffer {} has {} there", p,
                                name(axis), text_of(own), dim_name(*a), c.buffer(a->id).name, text_of(needs), dim_name(*b),
                                c.buffer(b->id).name, text_of(has)),
                    axis, p);
        break;
      }
    }
  }

  void expect_size(char letter, int64_t n, const char* why) {
    if (const auto d = first(letter); d && size(*d) != n)
      wrong(fmt::format("buffer {} has {} of dimension {}, {} makes {}", c.buffer(d->id).name, size(*d), dim_name(*d), why, n), d->id);
  }

  // Heads, their dims and the pairs of those.
  void check_heads() {
    if ((row.fields & kHeadDim) == 0) return;
    const int64_t hd = op.head_dim, group = op.group;
    if (hd < 2 || hd % 2 != 0 || group < 1) return wrong(fmt::format("head_dim {} and group {}", hd, group));
    if (const auto h = first('h')) expect_size('q', size(*h) * hd, "a head_dim for each head");
    if (const auto g = first('g')) expect_size('v', size(*g) * hd, "a head_dim for each KV head");
    if (const auto v = first('v')) expect_size('q', size(*v) * group, "a group of query heads");
    expect_size('p', hd / 2, "head_dim");
    if (const auto d = first('d'); d && size(*d) % hd != 0)
      wrong(fmt::format("buffer {} has {} of dimension {}, no multiple of head_dim {}", c.buffer(d->id).name, size(*d), dim_name(*d), hd),
            d->id);
    const auto whole_pairs = [&](const Ranges& r) {
      return std::all_of(r.begin(), r.end(), [](const Range& x) { return x.begin % 2 == 0 && x.end % 2 == 0; });
    };
    if (const auto d = first('d'))
      for (const Axis axis : {Axis::x, Axis::y})
        for (int p = 0; p < positions(axis) && cut(*d, axis) != nullptr; p++)
          if (const Ranges own = held(cut(*d, axis), size(*d), p); !whole_pairs(own)) {
            c.report_at(Rule::elsewhere, at, d->id,
                        fmt::format("position {} along {} holds {} of {} (buffer {}): half of a pair", p, name(axis), text_of(own),
                                    dim_name(*d), c.buffer(d->id).name),
                        axis, p);
            break;
          }
    follows('q', 'h', false, [&](const Ranges& q) { return heads_of(q, hd); });
    follows('v', 'g', false, [&](const Ranges& v) { return heads_of(v, hd); });
    follows('q', 'v', true, [&](const Ranges& q) { return kv_dims_of(q, hd, group); });
    follows('d', 'p', true, [&](const Ranges& d) { return pairs_of(d, hd); });
  }

  // store_rows: the rows that a position adds are those of the new positions that lie there.
  void check_stored() {
    const auto t = first('t'), s = first('s');
    if (op.op != LocalOp::store_rows || !s) return;
    const int64_t begin = at.context.params.cached, end = begin + at.context.params.rows;
    for (const Axis axis : {Axis::x, Axis::y}) {
      if (cut(*s, axis) == nullptr && (!t || cut(*t, axis) == nullptr)) continue;
      for (int p = 0; t && p < positions(axis); p++) {
        Ranges fresh;
        for (const Range& r : held(cut(*s, axis), end, p)) append(fresh, {std::max(r.begin, begin) - begin, std::min(r.end, end) - begin});
        const Ranges own = held(cut(*t, axis), size(*t), p);
        if (own == fresh) continue;
        c.report_at(Rule::elsewhere, at, s->id,
                    fmt::format("position {} along {} has {} of {} (buffer {}), but is to store {} (buffer {})", p, name(axis),
                                text_of(own), dim_name(*t), c.buffer(t->id).name, text_of(fresh), c.buffer(s->id).name),
                    axis, p);
        break;
      }
    }
  }

  // The dimension over which cores' results of an output are joined; none: each has its elements whole.
  std::optional<Named> summed(const Operand& out) const {
    if (row.joins == Joins::nothing) return {};
    const auto has = [&](char letter) { return out.dims.find(letter) != std::string_view::npos; };
    for (size_t i = 0; i < operands.size(); i++)
      for (size_t d = 0; !operands[i].out && d < operands[i].dims.size(); d++) {
        const char letter = operands[i].dims[d];
        if (letter < 'a' || letter > 'z' || has(letter)) continue;
        // What follows from the output's own dims is not summed.
        if (has('q') && (letter == 'h' || letter == 'v' || letter == 'g')) continue;
        if (has('h') && letter == 'v') continue;  // q is summed, of which v is an image
        return Named{ids[i], static_cast<int>(d)};
      }
    return {};
  }

  Result result_of(size_t i) const {
    Result r;
    const std::optional<Named> over = summed(operands[i]);
    if (!over) return r;
    for (const Axis axis : {Axis::x, Axis::y}) {
      const Cut* way = cut(*over, axis);
      if (way == nullptr) continue;
      const size_t a = static_cast<size_t>(axis);
      if (row.joins == Joins::owner) {
        r.spread[a] = Spread::owners;
        continue;
      }
      auto shares = std::make_shared<Shares>();
      const auto h = first('h');
      const bool in_heads = op.op == LocalOp::row_dots && h;  // of each head its own dims
      for (int p = 0; p < positions(axis); p++) {
        shares->held.push_back(held(way, size(*over), p));
        shares->wanted.push_back(in_heads ? dims_of(held(cut(*h, axis), size(*h), p), op.head_dim) : held(nullptr, size(*over), p));
      }
      r.partial[a] = Partial{.op = joined_by(op.op).value(), .shares = std::move(shares)};
    }
    return r;
  }
};

}  // namespace

std::vector<Result> check_local(Checker& c, const Place& at, const Local& op) {
  std::vector<Result> results(op.out.size());
  LocalCheck check{.c = c, .at = at, .op = op, .row = operation(op.op)};
  if (op.op == LocalOp::tile_fma || op.op == LocalOp::tile_fma_t) {
    check.wrong(fmt::format("{} stands outside a product", check.row.name));
    return results;
  }
  check.check_fields();
  if (!check.take_form()) return results;
  check.check_letters();
  check.check_heads();
  check.check_stored();
  if (op.op == LocalOp::normalise) check.expect_size('e', op.size, "its size");
  for (size_t i = 0; i < op.out.size(); i++) results[i] = check.result_of(op.in.size() + i);
  return results;
}

}  // namespace wafer::mesh::locality
