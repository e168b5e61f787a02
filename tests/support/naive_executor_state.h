// The parts of the naive executor: what cores hold, and the steps. See naive_executor.h.
#pragma once
#include <fmt/format.h>

#include <deque>
#include <map>
#include <span>
#include <stdexcept>
#include <vector>

#include "lower/lower.h"
#include "model/model.h"
#include "support/naive_executor.h"

namespace wafer::naive {

using namespace mesh;

struct Element {
  float value = 0;
  float scale = 0;         // of a quantised weight, whose value is the integer; of a `best`: the index
  bool quantised = false;  // layers of one model may differ
  bool held = false;
};

// What one core holds of one copy of a buffer, by flat index of the tensor (row-major).
class Holding {
 public:
  const Element* find(int64_t index) const;  // null: not held
  void put(int64_t index, Element element);
  void erase(int64_t index);
  void clear();
  int64_t count() const { return count_; }
  std::vector<int64_t> indices() const;

 private:
  int64_t first_ = 0;
  int64_t count_ = 0;
  std::vector<Element> elements_;  // from index first_ on
};

// Values of the loop variables around a step.
struct Context {
  Params params;
  int64_t layer = 0, member = 0, chunk = 0, row = 0;
};

int64_t size_of(const Dim& dim, const Context& context);
std::vector<int64_t> sizes_of(const Tensor& tensor, const Context& context);

// The indices of each dimension that the core at (x, y) of the buffer's region has by the placement, in the core's order.
std::vector<std::vector<int64_t>> own_indices(const Program& program, const Buffer& buffer, int x, int y, const Context& context);
std::vector<int64_t> flatten(const std::vector<Range>& ranges);
// The cut of a dimension; whole where the buffer has none.
const DimCut& cut_of(const Buffer& buffer, int dim);

struct Message {
  std::vector<Element> elements;  // by flat index in the source tensor (of a row: in the row)
};

struct State {
  const Lowered& lowered;
  const Model& model;
  const Program& program;
  IdVector<BufferId, std::vector<std::vector<Holding>>> holdings;  // [buffer][copy - first_copy][y * w + x]
  IdVector<BufferId, bool> aligned;                                // [buffer] its tiles lie aligned for the next product
  IdVector<RegionId, PhaseId> region_phase;                        // [region] the phase of its last step
  std::map<MoveId, std::deque<Message>> in_flight;                 // [move]
  std::span<const int32_t> tokens;
  const HeadBuffers* head = nullptr;  // of the last entry
  int32_t chosen = -1;                // the latest choice
  std::string step;                   // for messages
  Expansion expansion = expand;       // of products

  State(const Lowered& l, const Model& m);

  const Buffer& buffer(BufferId id) const { return program.buffers[id]; }
  const Tensor& tensor(BufferId buffer_id) const { return program.tensors[buffer(buffer_id).tensor]; }
  Rect rect(RegionId region) const { return program.regions[region].rect; }
  // The copy of a buffer that a step in this context means.
  int copy_of(BufferId buffer_id, const Context& context) const;
  Holding& holding(BufferId buffer_id, int copy, int x, int y);
  const Holding& holding(BufferId buffer_id, int copy, int x, int y) const;
  [[noreturn]] void fail(const std::string& text) const;
};

// One core's part of one buffer, in a step.
struct CoreTile {
  State& state;
  BufferId buffer{};
  int x = 0, y = 0;
  Holding& holding;
  std::vector<int64_t> sizes;
  std::vector<std::vector<int64_t>> own;  // [dim] by the placement

  int64_t flat(std::initializer_list<int64_t> index) const;
  const Element& element(std::initializer_list<int64_t> index) const;  // fails where the core does not hold it
  float read(std::initializer_list<int64_t> index) const { return element(index).value; }
  void write(std::initializer_list<int64_t> index, float value);  // rounded to the buffer's dtype
  // A tensor [rows][n], or [n] alone, which has one row.
  bool has_rows() const { return sizes.size() == 2; }
  float read_row(int64_t row, int64_t i) const { return has_rows() ? read({row, i}) : read({i}); }
  void write_row(int64_t row, int64_t i, float value) { has_rows() ? write({row, i}, value) : write({i}, value); }
  std::vector<int64_t> own_rows() const { return has_rows() ? own.front() : std::vector<int64_t>{0}; }
  // Fails unless the core holds exactly its placement.
  void check_complete() const;
};

CoreTile core_tile(State& state, BufferId buffer, int x, int y, const Context& context);
// Fails where two cores hold different values of an element that both have a copy of.
void check_replicas(const State& state, BufferId buffer, const Context& context);
float rounded(Dtype dtype, float value);  // to the dtype of an activation
// acc + a * b in the program's numerics.
float multiply_add(const State& state, float a, float b, float acc);
// Continues the sum over `ks` (indices of the weight's inputs, in order) of weight(i) * input(i), i a place in ks. Quantised weights are
// summed piece by piece.
template <class Weight, class Input>
float dot(const State& state, const std::vector<int64_t>& ks, Weight weight, Input input, float acc);

void load_weights(State& state, const std::vector<RegionId>& regions);
void run_entry(State& state, const Entry& entry, const Params& params);
void run_local(State& state, const Local& op, RegionId region, const Context& context);
void run_reduce(State& state, const Reduce& op, RegionId region, const Context& context);
void run_ring_reduce(State& state, const RingReduce& op, RegionId region, const Context& context);
void run_multicast(State& state, const Multicast& op, RegionId region, const Context& context);
void run_row_shift(State& state, const RowShift& op, RegionId region, const Context& context);
void run_send(State& state, MoveId move, const Context& context);
void run_receive(State& state, MoveId move, const Context& context);
void run_gemm(State& state, const Step& step, const Product& product, RegionId region, const Context& context);
void run_gemm_t(State& state, const Step& step, const Product& product, RegionId region, const Context& context);
void run_cast_gemm(State& state, const Step& step, const Product& product, RegionId region, const Context& context);

template <class Weight, class Input>
float dot(const State& state, const std::vector<int64_t>& ks, Weight weight, Input input, float acc) {
  if (ks.empty() || !weight(0).quantised) {
    for (size_t i = 0; i < ks.size(); i++) acc = multiply_add(state, weight(i).value, input(i), acc);
    return acc;
  }
  // A piece: successive k inside one block of 32.
  for (size_t i = 0; i < ks.size();) {
    float sum = 0;
    const float scale = weight(i).scale;
    const size_t begin = i;
    do {
      sum = fma(weight(i).value, input(i), sum);
      i++;
    } while (i < ks.size() && ks[i] == ks[i - 1] + 1 && ks[i] / 32 == ks[begin] / 32);
    acc = fma(scale, sum, acc);
  }
  return acc;
}

}  // namespace wafer::naive
