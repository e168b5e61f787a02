// A product whose steps start on all cores at the same time: only the slowest core of each step counts. Rows of cores with equal tiles,
// and an equal way from the row below, are slow in the same way; which blocks they meet is a matter of where they stand on the ring.
#include <algorithm>
#include <map>

#include "time/product_steps.h"

namespace wafer::time {
namespace {

// Sums over the logical rows of a core, by the block v that its first one meets: of k times what each row has.
struct RowSums {
  std::vector<int64_t> per_k, per_kn, elements;  // [L]; elements: of its A tiles

  RowSums(const ProductSteps& p, mesh::Range own) : per_k(static_cast<size_t>(p.L), 0), per_kn(per_k), elements(per_k) {
    for (int64_t v = 0; v < p.L; v++)
      for (int64_t l = own.begin; l < own.end; l++) {
        const int64_t k = p.k[static_cast<size_t>((v + l - own.begin) % p.L)];
        const size_t row = static_cast<size_t>(l), at = static_cast<size_t>(v);
        per_k[at] += k * p.rate[row].per_k;
        per_kn[at] += k * p.rate[row].per_kn;
        elements[at] += k * p.rows[row];
      }
  }
};

// The slowest core of row i, by the block that the row's first tile meets in the first column.
std::vector<int64_t> slowest(const ProductSteps& p, int i) {
  const int below = (i + 1) % p.h;
  const mesh::Range rows = p.own_rows[static_cast<size_t>(i)];
  const RowSums own(p, rows), under(p, p.own_rows[static_cast<size_t>(below)]);
  auto by_block = [&](const std::vector<int64_t>& v, int64_t block) { return v[static_cast<size_t>(block % p.L)]; };
  // Wavelets of the B tiles that leave the core in column j.
  auto b_words = [&](int64_t first, mesh::Range columns) {
    int64_t n = 0;
    for (int64_t c = columns.begin; c < columns.end; c++) n += p.n[static_cast<size_t>(c)] * by_block(p.k, first + c);
    return p.b.wavelets(n);
  };
  std::vector<int64_t> most(static_cast<size_t>(p.L), 0);
  for (int64_t u = 0; u < p.L; u++)
    for (int j = 0; j < p.w; j++) {
      const mesh::Range columns = p.own_cols[static_cast<size_t>(j)];
      const int64_t right = p.own_cols[static_cast<size_t>((j + 1) % p.w)].begin, u_below = u + rows.size();
      int64_t product = 0;
      for (int64_t c = columns.begin; c < columns.end; c++)
        if (const int64_t n = p.n[static_cast<size_t>(c)]; n > 0) product += by_block(own.per_k, u + c) + n * by_block(own.per_kn, u + c);
      const int64_t a = p.a.wavelets(by_block(own.elements, u + columns.begin)), b = b_words(u, columns),
                    a_right = p.a.wavelets(by_block(own.elements, u + right)),
                    a_below = p.a.wavelets(by_block(under.elements, u_below + columns.begin)), b_below = b_words(u_below, columns);
      const int64_t stolen = ((a + b + a_right + b_below) * p.steal) >> kStealShift;
      int64_t& end = most[static_cast<size_t>(u)];
      end =
          std::max({end, product + stolen, a + b, ramp_way(p) + a_right + b_below, a_right + x_way(p, j), a_below + b_below + y_way(p, i)});
    }
  return most;
}

}  // namespace

uint64_t gemm_cycles_together(const ProductSteps& p) {
  std::map<std::vector<int64_t>, std::vector<int64_t>> by_kind;
  std::vector<const std::vector<int64_t>*> of_row;
  for (int i = 0; i < p.h; i++) {
    std::vector<int64_t> kind = {y_way(p, i)};
    for (const int row : {i, (i + 1) % p.h}) {
      const mesh::Range own = p.own_rows[static_cast<size_t>(row)];
      kind.insert(kind.end(), p.rows.begin() + own.begin, p.rows.begin() + own.end);
      kind.push_back(-1);
    }
    const auto [it, fresh] = by_kind.try_emplace(std::move(kind));
    if (fresh) it->second = slowest(p, i);
    of_row.push_back(&it->second);
  }
  int64_t cycles = p.L * (p.issue + p.finish);
  for (int64_t s = 0; s < p.L; s++) {
    int64_t most = 0;
    for (size_t i = 0; i < of_row.size(); i++) most = std::max(most, (*of_row[i])[static_cast<size_t>((p.own_rows[i].begin + s) % p.L)]);
    cycles += most;
  }
  return static_cast<uint64_t>(cycles);
}

}  // namespace wafer::time
