// What cores hold, where it belongs, and how the host fills in the weights.
#include "support/naive_executor_state.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>

#include "base/half.h"

namespace wafer::naive {

// ---- one core's memory -----------------------------------------------------------------------------------------------------------

const Element* Holding::find(int64_t index) const {
  if (index < first_ || index >= first_ + static_cast<int64_t>(elements_.size())) return nullptr;
  const Element& e = elements_[static_cast<size_t>(index - first_)];
  return e.held ? &e : nullptr;
}

void Holding::put(int64_t index, Element element) {
  if (elements_.empty()) first_ = index;
  if (index < first_) {
    elements_.insert(elements_.begin(), static_cast<size_t>(first_ - index), Element{});
    first_ = index;
  }
  const size_t at = static_cast<size_t>(index - first_);
  if (at >= elements_.size()) elements_.resize(at + 1);
  if (!elements_[at].held) count_++;
  elements_[at] = element;
  elements_[at].held = true;
}

void Holding::erase(int64_t index) {
  if (!find(index)) return;
  elements_[static_cast<size_t>(index - first_)] = {};
  count_--;
}

void Holding::clear() {
  elements_.clear();
  count_ = 0;
}

std::vector<int64_t> Holding::indices() const {
  std::vector<int64_t> out;
  for (size_t i = 0; i < elements_.size(); i++)
    if (elements_[i].held) out.push_back(first_ + static_cast<int64_t>(i));
  return out;
}

// ---- placement -------------------------------------------------------------------------------------------------------------------

int64_t size_of(const Dim& dim, const Context& c) {
  if (dim.size.kind != SizeKind::keys) return value(dim.size, c.params);
  return std::min(c.params.chunk, c.params.cached + c.params.rows - c.chunk * c.params.chunk);
}

std::vector<int64_t> sizes_of(const Tensor& tensor, const Context& context) {
  std::vector<int64_t> sizes;
  for (const Dim& d : tensor.dims) sizes.push_back(size_of(d, context));
  return sizes;
}

std::vector<int64_t> flatten(const std::vector<Range>& ranges) {
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(count(ranges)));
  for (const Range& r : ranges)
    for (int64_t i = r.begin; i < r.end; i++) out.push_back(i);
  return out;
}

const DimCut& cut_of(const Buffer& buffer, int dim) {
  static const DimCut whole{.dim = 0, .axis = Axis::x, .cut = whole_cut()};
  for (const DimCut& c : buffer.cuts)
    if (c.dim == dim) return c;
  return whole;
}

std::vector<std::vector<int64_t>> own_indices(const Program& program, const Buffer& buffer, int x, int y, const Context& context) {
  const Tensor& t = program.tensors[buffer.tensor];
  std::vector<std::vector<int64_t>> own;
  for (size_t d = 0; d < t.dims.size(); d++) {
    const DimCut& c = cut_of(buffer, static_cast<int>(d));
    own.push_back(flatten(ranges_at(c.cut, size_of(t.dims[d], context), c.axis == Axis::x ? x : y)));
  }
  return own;
}

State::State(const Lowered& l, const Model& m) : lowered(l), model(m), program(l.program()) {
  for (const Buffer& b : program.buffers) {
    const Rect r = rect(b.region);
    const std::vector<Holding> cores(static_cast<size_t>(r.w * r.h));
    holdings.add(std::vector<std::vector<Holding>>(static_cast<size_t>(b.copies), cores));
  }
  aligned = IdVector<BufferId, bool>(program.buffers.size());
  region_phase = IdVector<RegionId, PhaseId>(program.regions.size());
}

int State::copy_of(BufferId id, const Context& c) const {
  const Tensor& t = tensor(id);
  if (t.copies == 1) return 0;
  const bool by_chunk = std::any_of(t.dims.begin(), t.dims.end(), [](const Dim& d) { return d.size.kind == SizeKind::keys; });
  return static_cast<int>(by_chunk ? c.chunk : c.layer);
}

const Holding& State::holding(BufferId id, int copy, int x, int y) const {
  const Buffer& b = buffer(id);
  const Rect r = rect(b.region);
  if (copy < b.first_copy || copy >= b.first_copy + b.copies) fail(fmt::format("copy {} of buffer {} is not in its region", copy, b.name));
  if (x < 0 || y < 0 || x >= r.w || y >= r.h) fail(fmt::format("core ({},{}) is not in the region of buffer {}", x, y, b.name));
  return holdings[id][static_cast<size_t>(copy - b.first_copy)][static_cast<size_t>(y * r.w + x)];
}

Holding& State::holding(BufferId id, int copy, int x, int y) { return const_cast<Holding&>(std::as_const(*this).holding(id, copy, x, y)); }

void State::fail(const std::string& text) const { throw std::logic_error(fmt::format("step {}: {}", step, text)); }

CoreTile core_tile(State& state, BufferId buffer, int x, int y, const Context& context) {
  const Buffer& b = state.buffer(buffer);
  return {.state = state,
          .buffer = buffer,
          .x = x,
          .y = y,
          .holding = state.holding(buffer, state.copy_of(buffer, context), x, y),
          .sizes = sizes_of(state.tensor(buffer), context),
          .own = own_indices(state.program, b, x, y, context)};
}

int64_t CoreTile::flat(std::initializer_list<int64_t> index) const {
  if (index.size() != sizes.size()) state.fail(fmt::format("{} indices for buffer {}", index.size(), state.buffer(buffer).name));
  int64_t at = 0;
  size_t d = 0;
  for (int64_t i : index) {
    if (i < 0 || i >= sizes[d])
      state.fail(fmt::format("index {} of {} in dimension {} of buffer {}", i, sizes[d], d, state.buffer(buffer).name));
    at = at * sizes[d++] + i;
  }
  return at;
}

const Element& CoreTile::element(std::initializer_list<int64_t> index) const {
  const Element* e = holding.find(flat(index));
  if (!e)
    state.fail(fmt::format("core ({},{}) reads element [{}] of buffer {}, which it does not hold", x, y, fmt::join(index, ","),
                           state.buffer(buffer).name));
  return *e;
}

void CoreTile::write(std::initializer_list<int64_t> index, float value) {
  holding.put(flat(index), {.value = rounded(state.tensor(buffer).dtype, value)});
}

void CoreTile::check_complete() const {
  int64_t n = 1;
  for (const auto& o : own) n *= static_cast<int64_t>(o.size());
  const auto complain = [&](int64_t index) {
    state.fail(fmt::format("core ({},{}) holds {} elements of buffer {}, its placement says {}; first fault at flat index {}", x, y,
                           holding.count(), state.buffer(buffer).name, n, index));
  };
  std::vector<size_t> at(own.size(), 0);
  for (int64_t i = 0; i < n; i++) {
    int64_t index = 0;
    for (size_t d = 0; d < own.size(); d++) index = index * sizes[d] + own[d][at[d]];
    if (!holding.find(index)) complain(index);
    for (size_t d = own.size(); d-- > 0;) {
      if (++at[d] < own[d].size()) break;
      at[d] = 0;
    }
  }
  if (holding.count() != n) complain(-1);
}

void check_replicas(const State& s, BufferId id, const Context& context) {
  const Buffer& b = s.buffer(id);
  const Rect r = s.rect(b.region);
  if (b.kind == BufferKind::weights || b.kind == BufferKind::cache) return;  // checked where they were put
  const int copy = s.copy_of(id, context);
  std::vector<Element> seen;
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) {
      const Holding& own = s.holding(id, copy, x, y);
      for (int64_t i : own.indices()) {
        const Element& e = *own.find(i);
        if (i >= static_cast<int64_t>(seen.size())) seen.resize(static_cast<size_t>(i) + 1);
        Element& first = seen[static_cast<size_t>(i)];
        if (!first.held) first = e;
        if (std::bit_cast<uint32_t>(first.value) != std::bit_cast<uint32_t>(e.value))
          s.fail(fmt::format("core ({},{}) has {} for element {} of buffer {}, another core {}", x, y, e.value, i, b.name, first.value));
      }
    }
}

// ---- numerics --------------------------------------------------------------------------------------------------------------------

float rounded(Dtype dtype, float value) { return dtype == Dtype::f16 ? round_f16(value) : value; }

float multiply_add(const State& state, float a, float b, float acc) {
  return state.program.numerics == Numerics::fp16 ? fma_f16(a, b, acc) : fma(a, b, acc);
}

// ---- weights ---------------------------------------------------------------------------------------------------------------------

namespace {

// One row of a checkpoint's matrix, [in].
std::vector<Element> row_of(const TensorView& view, int64_t row, Numerics numerics) {
  std::vector<Element> out(static_cast<size_t>(view.cols));
  const bool quantised = view.type == TensorType::q8_0 || view.type == TensorType::q4_0;
  std::vector<float> widened(out.size());
  row_to_f32(view, row, widened.data());
  for (size_t i = 0; i < out.size(); i++) out[i].value = numerics == Numerics::fp32 ? widened[i] : round_f16(widened[i]);
  if (!quantised || numerics == Numerics::fp16) return out;
  const std::byte* block = row_bytes(view, row).data();
  for (size_t begin = 0; begin < out.size(); begin += 32, block += block_bytes(view.type)) {
    uint16_t scale;
    std::memcpy(&scale, block, sizeof scale);
    for (size_t i = 0; i < 32; i++) {
      int q;
      if (view.type == TensorType::q8_0)
        q = static_cast<int8_t>(block[2 + i]);
      else
        q = (static_cast<int>(block[2 + i % 16]) >> (i < 16 ? 0 : 4) & 15) - 8;
      out[begin + i] = {.value = static_cast<float>(q), .scale = f16_to_f32(scale), .quantised = true};
    }
  }
  return out;
}

const TensorView* view_of(const Model& m, const std::string& name, int layer) {
  if (name == "embedding") return &m.embedding;
  if (name == "output") return &m.output;
  if (name == "output_norm") return &m.output_norm;
  const LayerTensors& l = m.layers[static_cast<size_t>(layer)];
  const std::pair<const char*, const TensorView*> layer_tensors[] = {
      {"attn_norm", &l.attn_norm}, {"wq", &l.q},       {"wk", &l.k},   {"wv", &l.v},      {"wo", &l.o},
      {"ffn_norm", &l.ffn_norm},   {"wgate", &l.gate}, {"wup", &l.up}, {"wdown", &l.down}};
  for (const auto& [known, view] : layer_tensors)
    if (name == known) return view;
  return nullptr;
}

// All elements of a tensor of weights, in its program's order ([in][out]).
std::vector<Element> whole_tensor(const State& s, const Tensor& t, int copy) {
  const ModelConfig& c = s.model.config;
  std::vector<Element> out;
  if (t.name == "turns") {
    for (int64_t i = 0; i < c.head_dim / 2; i++) {
      const double turns = rope_frequency(c, i) / (2 * std::numbers::pi);
      const float high = static_cast<float>(turns);
      out.push_back({.value = high});
      out.push_back({.value = static_cast<float>(turns - static_cast<double>(high))});
    }
    return out;
  }
  const TensorView* view = view_of(s.model, t.name, copy);
  if (!view) s.fail("no weights for tensor " + t.name);
  if (t.dims.size() == 1) {  // a norm: fp32 but in fp16 numerics
    std::vector<float> values(static_cast<size_t>(view->cols));
    row_to_f32(*view, 0, values.data());
    for (float v : values) out.push_back({.value = s.program.numerics == Numerics::fp16 ? round_f16(v) : v});
    return out;
  }
  out.resize(static_cast<size_t>(view->rows * view->cols));
  for (int64_t r = 0; r < view->rows; r++) {
    const std::vector<Element> row = row_of(*view, r, s.program.numerics);
    for (int64_t k = 0; k < view->cols; k++) out[static_cast<size_t>(k * view->rows + r)] = row[static_cast<size_t>(k)];
  }
  return out;
}

}  // namespace

void load_weights(State& s, const std::vector<RegionId>& regions) {
  s.step = "load";
  for (const BufferId id : s.program.buffers.ids()) {
    const Buffer& b = s.buffer(id);
    const Tensor& t = s.tensor(id);
    if (b.kind != BufferKind::weights) continue;
    // The frequencies are small and both phases have their own.
    if (t.name != "turns" && std::find(regions.begin(), regions.end(), b.region) == regions.end()) continue;
    const Rect r = s.rect(b.region);
    for (int copy = b.first_copy; copy < b.first_copy + b.copies; copy++) {
      const std::vector<Element> all = whole_tensor(s, t, copy);
      const Context context{.params = {}, .layer = copy};
      for (int y = 0; y < r.h; y++)
        for (int x = 0; x < r.w; x++) {
          CoreTile tile = core_tile(s, id, x, y, context);
          const int64_t inner = tile.sizes.size() == 2 ? tile.sizes[1] : 1;
          const std::vector<int64_t> one = {0};
          for (int64_t i : tile.own[0])
            for (int64_t j : tile.sizes.size() == 2 ? tile.own[1] : one) {
              tile.holding.put(i * inner + j, all[static_cast<size_t>(i * inner + j)]);
            }
          tile.check_complete();
        }
    }
  }
}

}  // namespace wafer::naive
