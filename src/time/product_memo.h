// What large products do to clocks, for those that come up again: the same sizes from the same pattern of clocks end in the same pattern,
// as many cycles later. Chunks of a prompt differ in their attention alone, so all but the first find most of their products here.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "mesh/program.h"
#include "time/clocks.h"

namespace wafer::time {

// Of one program on one device, for clocks of 32 bits. Entries may share it from several threads; one after the other they gain more.
struct ProductMemo {
  struct Product {
    std::vector<int64_t> key;
    std::vector<uint32_t> before, after;  // the earliest of `before` at 0
    uint64_t base = 0;                    // of `after`
    Tally tally;
  };
  int64_t core_steps = int64_t{1} << 24;  // of the products worth it
  int64_t most_bytes = int64_t{64} << 20;
  std::mutex mutex;
  std::vector<std::shared_ptr<const Product>> products;  // the newest last
};

// Of one product on all cores: each takes as many steps as the longer side has cores.
inline int64_t core_steps(mesh::Extent e) { return int64_t{e.w} * e.h * std::max(e.w, e.h); }
// Whether an entry has products that a memo keeps.
bool worth_a_memo(const ProductMemo& memo, const mesh::Program& program, const mesh::Entry& entry);

std::shared_ptr<const ProductMemo::Product> find(ProductMemo& memo, const std::vector<int64_t>& key, const Clocks<uint32_t>& c);
void keep(ProductMemo& memo, std::shared_ptr<const ProductMemo::Product> product);
void start_at_zero(Clocks<uint32_t>& c);  // the earliest clock is the base

// All runs of a product at once: `time` advances the clocks and fills a tally, unless the memo knows what comes out.
template <class Time>
void remembered(ProductMemo& memo, Clocks<uint32_t>& c, std::vector<int64_t> key, Tally& tally, const Time& time) {
  start_at_zero(c);
  if (const auto known = find(memo, key, c)) {
    c.t = known->after;
    c.base += known->base;
    c.most = Clocks<uint32_t>::kUnknown;
    return add(tally, known->tally);
  }
  auto fresh = std::make_shared<ProductMemo::Product>();
  fresh->key = std::move(key);
  fresh->before = c.t;
  const uint64_t base = c.base;
  time(fresh->tally);
  if (c.too_wide) return;
  fresh->after = c.t;
  fresh->base = c.base - base;
  add(tally, fresh->tally);
  keep(memo, std::move(fresh));
}

}  // namespace wafer::time
