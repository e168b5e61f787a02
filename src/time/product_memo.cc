#include "time/product_memo.h"

#include <algorithm>

#include "mesh/visit.h"

namespace wafer::time {

using namespace mesh;

namespace {

int64_t bytes_of(const ProductMemo::Product& p) { return static_cast<int64_t>((p.before.size() + p.after.size()) * sizeof(uint32_t)); }

}  // namespace

bool worth_a_memo(const ProductMemo& memo, const Program& program, const Entry& entry) {
  return std::any_of(entry.lists.begin(), entry.lists.end(), [&](const RegionSteps& list) {
    return core_steps(extent(program.regions[list.region].rect)) >= memo.core_steps && has_product(list.steps);
  });
}

std::shared_ptr<const ProductMemo::Product> find(ProductMemo& memo, const std::vector<int64_t>& key, const Clocks<uint32_t>& c) {
  const std::lock_guard lock(memo.mutex);
  const auto at =
      std::find_if(memo.products.rbegin(), memo.products.rend(), [&](const auto& p) { return p->key == key && p->before == c.t; });
  return at == memo.products.rend() ? nullptr : *at;
}

void keep(ProductMemo& memo, std::shared_ptr<const ProductMemo::Product> product) {
  const std::lock_guard lock(memo.mutex);
  memo.products.push_back(std::move(product));
  int64_t bytes = 0;
  for (const auto& p : memo.products) bytes += bytes_of(*p);
  while (bytes > memo.most_bytes) {
    bytes -= bytes_of(*memo.products.front());
    memo.products.erase(memo.products.begin());
  }
}

void start_at_zero(Clocks<uint32_t>& c) {
  const uint32_t least = *std::min_element(c.t.begin(), c.t.end());
  if (least == 0) return;
  for (uint32_t& v : c.t) v -= least;
  c.base += least;
  c.most = Clocks<uint32_t>::kUnknown;
}

}  // namespace wafer::time
