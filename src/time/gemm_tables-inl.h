// What the steps of a MeshGEMM cost, in tables that the inner loops run over. A rectangle of w x h cores has L = max(w, h) logical
// positions on each axis and takes one of three forms:
//
//   square  w = h, and the blocks of k have at most two sizes: all that a step asks of a core is one of two numbers (SquareRow)
//   wide    w >= h else: a column holds one position, a row several: sums over a row's positions, by the block its first one meets
//   tall    w < h: a row holds one position, a column several: whole rows of numbers, by the block that the row meets in column 0
//
// Row i of cores meets in step s the block own_rows[i].begin + s (mod L) in column 0, and from there one more with each position. Tables
// are made once for all rows of cores that hold equally many tokens.
#pragma once
#include <algorithm>
#include <map>

#include "base/check.h"
#include "time/product_steps-inl.h"

namespace wafer::time::inl {

enum class GemmForm : uint8_t { square, wide, tall };

// The power of two that takes as many cycles from a product as p.steal, or the next one above.
inline int steal_shift(const ProductSteps& p) {
  int shift = kStealShift;
  while (shift > 0 && (int64_t{1} << (kStealShift - shift)) < p.steal) shift--;
  return shift;
}

inline GemmForm form_of(const ProductSteps& p) {
  const auto [low, high] = std::minmax_element(p.k.begin(), p.k.end());
  const bool two_sizes = std::all_of(p.k.begin(), p.k.end(), [&](int64_t k) { return k == *low || k == *high; });
  if (p.w == p.h && two_sizes && p.steal == int64_t{1} << (kStealShift - steal_shift(p))) return GemmForm::square;
  return p.w >= p.h ? GemmForm::wide : GemmForm::tall;
}

// Values at L positions, twice round the ring and a little more, so that any start may run over a whole row and its padding.
template <class T, class F>
std::vector<T> ring(int L, F&& at) {
  std::vector<T> v;
  const int size = 2 * L + 2 + kRowPadding;
  v.reserve(static_cast<size_t>(size));
  for (int m = 0; m < size; m++) v.push_back(static_cast<T>(at(m % L)));
  return v;
}

// Rows of cores that share their tables.
struct RowKinds {
  std::vector<size_t> of;  // [h]
  std::vector<int> first;  // [kinds] the first row of each
};

inline RowKinds row_kinds(const ProductSteps& p) {
  RowKinds kinds;
  std::map<std::vector<int64_t>, size_t> seen;  // by the tokens of each position
  for (int i = 0; i < p.h; i++) {
    const mesh::Range own = p.own_rows[static_cast<size_t>(i)];
    const auto [it, fresh] = seen.try_emplace({p.rows.begin() + own.begin, p.rows.begin() + own.end}, kinds.first.size());
    if (fresh) kinds.first.push_back(i);
    kinds.of.push_back(it->second);
  }
  return kinds;
}

// ---- square ------------------------------------------------------------------------------------------------------------------------

template <class T>
struct SquareTables {
  struct Kind {
    std::vector<T> cycles_low, cycles_high;  // [w] of the product with a small and with a large block
    T a_low = 0, a_high = 0;                 // wavelets of A
  };
  std::vector<T> is_high;        // ring: whether a block is a large one
  std::vector<T> b_low, b_high;  // [w] wavelets of B; as what follows, padded to whole vectors
  std::vector<Kind> kinds;
};

template <class T>
SquareTables<T> square_tables(const ProductSteps& p, const RowKinds& rows, size_t stride) {
  const auto [least, most] = std::minmax_element(p.k.begin(), p.k.end());
  const int64_t low = *least, high = *most;
  SquareTables<T> out;
  out.is_high = ring<T>(p.L, [&](int m) { return p.k[static_cast<size_t>(m)] == high ? 1 : 0; });
  for (int64_t n : p.n) {
    out.b_low.push_back(static_cast<T>(p.b.wavelets(n * low)));
    out.b_high.push_back(static_cast<T>(p.b.wavelets(n * high)));
  }
  for (std::vector<T>* row : {&out.b_low, &out.b_high}) row->resize(stride);
  for (int first : rows.first) {
    const size_t row = static_cast<size_t>(first);
    typename SquareTables<T>::Kind kind;
    kind.a_low = static_cast<T>(p.a.wavelets(p.rows[row] * low));
    kind.a_high = static_cast<T>(p.a.wavelets(p.rows[row] * high));
    for (int64_t n : p.n) {
      kind.cycles_low.push_back(static_cast<T>(low * tile_cycles_per_k(p.rate[row], n)));
      kind.cycles_high.push_back(static_cast<T>(high * tile_cycles_per_k(p.rate[row], n)));
    }
    for (std::vector<T>* cycles : {&kind.cycles_low, &kind.cycles_high}) cycles->resize(stride);
    out.kinds.push_back(std::move(kind));
  }
  return out;
}

// ---- wide --------------------------------------------------------------------------------------------------------------------------

template <class T>
struct WideTables {
  struct Kind {
    std::vector<T> product, product_n;  // rings: cycles of the product with a column of n: product + n * product_n
    std::vector<T> a;                   // ring: wavelets of A
  };
  std::vector<T> n;       // [w] columns of C
  std::vector<T> k_bits;  // ring: bits of B for each of them
  std::vector<Kind> kinds;
};

template <class T>
WideTables<T> wide_tables(const ProductSteps& p, const RowKinds& rows, size_t stride) {
  WideTables<T> out;
  for (int j = 0; j < p.w; j++) out.n.push_back(static_cast<T>(p.n[static_cast<size_t>(j)]));
  out.n.resize(stride);
  out.k_bits = ring<T>(p.L, [&](int m) { return p.k[static_cast<size_t>(m)] * p.b.bits; });
  for (int first : rows.first) {
    const mesh::Range own = p.own_rows[static_cast<size_t>(first)];
    // Of k times a term of each position, the first of which meets block m.
    auto sum = [&](int m, auto&& term) {
      int64_t all = 0;
      for (int64_t l = own.begin; l < own.end; l++)
        all += p.k[static_cast<size_t>((m + l - own.begin) % p.L)] * term(static_cast<size_t>(l));
      return all;
    };
    out.kinds.push_back({.product = ring<T>(p.L, [&](int m) { return sum(m, [&](size_t l) { return p.rate[l].per_k; }); }),
                         .product_n = ring<T>(p.L, [&](int m) { return sum(m, [&](size_t l) { return p.rate[l].per_kn; }); }),
                         .a = ring<T>(p.L, [&](int m) { return p.a.wavelets(sum(m, [&](size_t l) { return p.rows[l]; })); })});
  }
  return out;
}

// ---- tall --------------------------------------------------------------------------------------------------------------------------

template <class T>
struct TallTables {
  struct Kind {
    std::vector<T> product, a;  // [L][stride] by block in column 0: cycles of the product, wavelets of A
  };
  std::vector<T> b;  // [L][stride] wavelets of B
  std::vector<Kind> kinds;
};

template <class T>
TallTables<T> tall_tables(const ProductSteps& p, const RowKinds& rows, size_t stride) {
  TallTables<T> out;
  std::vector<int64_t> k(p.k), tile(p.n.size());  // k: twice round the ring; tile: cycles for each k
  k.insert(k.end(), p.k.begin(), p.k.end());
  const size_t cells = static_cast<size_t>(p.L) * stride + 1;
  // Over the positions of column j of k times a term.
  auto sum = [&](int m, int j, const std::vector<int64_t>& term) {
    const mesh::Range columns = p.own_cols[static_cast<size_t>(j)];
    int64_t all = 0;
    for (int64_t c = columns.begin; c < columns.end; c++) all += k[static_cast<size_t>(m + c)] * term[static_cast<size_t>(c)];
    return all;
  };
  for (int first : rows.first) {
    const mesh::Range own = p.own_rows[static_cast<size_t>(first)];
    CHECK(own.size() == 1, "a tall rectangle with several logical rows on a core");
    const size_t row = static_cast<size_t>(own.begin);
    typename TallTables<T>::Kind kind{.product = std::vector<T>(cells), .a = std::vector<T>(cells)};
    for (size_t c = 0; c < tile.size(); c++) tile[c] = tile_cycles_per_k(p.rate[row], p.n[c]);
    for (int m = 0; m < p.L; m++)
      for (int j = 0; j <= p.w; j++) {
        const size_t cell = static_cast<size_t>(m) * stride + static_cast<size_t>(j);
        kind.product[cell] = static_cast<T>(sum(m, j % p.w, tile));
        kind.a[cell] =
            static_cast<T>(p.a.wavelets(p.rows[row] * k[static_cast<size_t>(m + p.own_cols[static_cast<size_t>(j % p.w)].begin)]));
      }
    out.kinds.push_back(std::move(kind));
  }
  out.b.resize(cells);
  for (int m = 0; m < p.L; m++)
    for (int j = 0; j < p.w; j++)
      out.b[static_cast<size_t>(m) * stride + static_cast<size_t>(j)] = static_cast<T>(p.b.wavelets(sum(m, j, p.n)));
  return out;
}

}  // namespace wafer::time::inl
