// MeshGEMM and GEMM-T of run(): one operation on whole tensors, in the order of sums of the cores (kernels/mesh_gemm.h).
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/parallel.h"
#include "run/machine.h"
#include "run/rows.h"

namespace wafer::run {

using namespace mesh;

namespace {

// Which logical tile each index of a dimension belongs to; only those in `within` are of interest.
std::vector<int> tile_of(const std::vector<std::vector<Range>>& tiles, Range within) {
  std::vector<int> out(static_cast<size_t>(within.size()), 0);
  for (size_t l = 0; l < tiles.size(); l++)
    for (const Range& r : tiles[l])
      for (int64_t i = std::max(r.begin, within.begin); i < std::min(r.end, within.end); i++)
        out[static_cast<size_t>(i - within.begin)] = static_cast<int>(l);
  return out;
}

// A product with weights on the whole region.
void gemm_with_weights(Machine& m, const Product& g, const Scope& s) {
  const Tensor& w = m.tensor_of(g.b);
  const PanelMatrix& panels = m.weights->matrices.at(w.name)[w.copies > 1 ? static_cast<size_t>(s.layer) : 0];
  const Extent e = m.extent_of(g.a);
  const int L = std::max(e.w, e.h);
  const int64_t rows = s.params.rows;
  const GemmOrder order{.parts = logical_tiles(cut_of(m, g.a, 1, Axis::x), panels.k, L)};
  // Tiles that travel are met in a circle, from a place that depends on the core; those that are cast or gathered, from the first.
  std::vector<int> row_part(static_cast<size_t>(rows), 0), col_part(static_cast<size_t>(panels.n), 0);
  if (on_rings(g.algorithm)) {
    row_part = tile_of(logical_tiles(cut_of(m, g.c, 0, Axis::y), rows, L), {0, rows});
    col_part = tile_of(logical_tiles(cut_of(m, g.c, 1, Axis::x), panels.n, L), {0, panels.n});
  }
  float* c = array(m, g.c, s);
  gemm(array(m, g.a, s), panels.k, panels, order, row_part, col_part, m.program().numerics, c, panels.n);
  finish(m, g.c, c, rows * panels.n, false);
}

struct HeadGeometry {
  int64_t heads, head_dim, kv_dim;
  Extent e;

  Range run(int64_t h) const { return head_run(static_cast<int>(heads), e.w, static_cast<int>(h)); }
  int logical(int64_t h) const { return std::max(static_cast<int>(run(h).size()), e.h); }
  Range dims(int64_t h) const { return {h * head_dim, (h + 1) * head_dim}; }
};

HeadGeometry head_geometry(const Machine& m, const Product& g) {
  const int64_t kv_dim = m.tensor_of(g.b).dims[1].size.fixed;
  return {.heads = g.heads, .head_dim = kv_dim / g.heads, .kv_dim = kv_dim, .e = m.extent_of(g.b)};
}

// P V inside the run of each KV head: p[kv_heads][rows][keys] times the chunk's rows of v_cache -> o[rows][kv_dim].
void gemm_with_values(Machine& m, const Product& g, const Scope& s) {
  const HeadGeometry head = head_geometry(m, g);
  const int64_t rows = s.params.rows;
  const Range keys = chunk_keys(s);
  const float* p = array(m, g.a, s);
  const float* v = array(m, g.b, s) + keys.begin * head.kv_dim;
  float* o = array(m, g.c, s);
  const Cut rows_y = cut_of(m, g.c, 0, Axis::y), dims_x = cut_of(m, g.c, 1, Axis::x);
  for (int64_t h = 0; h < head.heads; h++) {
    const int L = head.logical(h);
    // Row t of the chunk and key t of a full chunk lie alike; the keys' tiles are those of the rows' cut.
    const GemmOrder order{.parts = logical_tiles(rows_y, keys.size(), L)};
    const std::vector<int> row_part = tile_of(logical_tiles(rows_y, rows, L), {0, rows});
    const std::vector<int> col_part = tile_of(logical_tiles(dims_x, head.kv_dim, L, head.run(h), head.dims(h)), head.dims(h));
    PanelMatrix values = make_panels(PanelType::f32, keys.size(), head.head_dim);
    pack_columns(values, v + h * head.head_dim, head.kv_dim);
    gemm(p + h * rows * keys.size(), keys.size(), values, order, row_part, col_part, m.program().numerics, o + h * head.head_dim,
         head.kv_dim);
  }
  finish(m, g.c, o, rows * head.kv_dim, false);
}

// The row sums of GEMM-T for one query row: own[c][keys] are the columns' partial products; the keys of block l are summed by a chain from
// both ends to the column that owns l. Prefixes of the chains are shared by all blocks.
struct RowSum {
  bool fp16;
  int64_t keys;
  int columns;
  const std::vector<std::vector<Range>>& owned;  // [columns] keys

  void operator()(const std::vector<float>& own, std::vector<float>& low, std::vector<float>& high, float* out) const {
    auto column = [&](const std::vector<float>& from, int c) { return from.data() + c * keys; };
    // low[c]: the chain from column 0 to c, as it leaves c; high[c] likewise from the last column.
    low = own;
    for (int c = 1; c < columns; c++) add_row(fp16, low.data() + c * keys, column(low, c - 1), keys);
    high = own;
    for (int c = columns - 2; c >= 0; c--) add_row(fp16, high.data() + c * keys, column(high, c + 1), keys);
    for (int c = 0; c < columns; c++)
      for (const Range& r : owned[static_cast<size_t>(c)]) {
        float* to = out + r.begin;
        std::copy_n(column(own, c) + r.begin, r.size(), to);
        if (c > 0) add_row(fp16, to, column(low, c - 1) + r.begin, r.size());
        if (c + 1 < columns) add_row(fp16, to, column(high, c + 1) + r.begin, r.size());
      }
  }
};

}  // namespace

void run_gemm(Machine& m, const Product& g, const Scope& s) { g.heads == 0 ? gemm_with_weights(m, g, s) : gemm_with_values(m, g, s); }

// Q K^T: q[rows][q_dim], query head h * group + member of each KV head h, times the chunk's keys -> s[kv_heads][rows][keys].
void run_gemm_t(Machine& m, const Product& g, const Scope& s) {
  const HeadGeometry head = head_geometry(m, g);
  const int64_t rows = s.params.rows, q_dim = dim_size(m, g.a, 1, s), group = q_dim / head.kv_dim;
  const Range keys = chunk_keys(s);
  const float* q = array(m, g.a, s);
  const float* k = array(m, g.b, s) + keys.begin;
  float* out = array(m, g.c, s);
  const Cut dims_x = cut_of(m, g.b, 1, Axis::x), keys_x = cut_of(m, g.c, 2, Axis::x);
  const bool fp16 = is_f16(m, g.c);
  for (int64_t h = 0; h < head.heads; h++) {
    const Range run = head.run(h);
    const int columns = static_cast<int>(run.size());
    std::vector<std::vector<Range>> dims, owned;
    for (int c = 0; c < columns; c++) {
      std::vector<Range> own_dims;
      for (const Range& r : ranges_at(dims_x, head.kv_dim, static_cast<int>(run.begin) + c))
        append(own_dims, {std::max(r.begin, head.dims(h).begin), std::min(r.end, head.dims(h).end)});
      dims.push_back(own_dims);
      owned.push_back(ranges_at(keys_x, keys.size(), static_cast<int>(run.begin) + c));
    }
    const RowSum row_sum{.fp16 = fp16, .keys = keys.size(), .columns = columns, .owned = owned};
    parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> own(static_cast<size_t>(columns * keys.size())), low, high;
      for (int64_t t = begin; t < end; t++) {
        const float* query = q + t * q_dim + (h * group + s.member) * head.head_dim;
        std::fill(own.begin(), own.end(), 0.0f);
        for (int c = 0; c < columns; c++)
          for (const Range& r : dims[static_cast<size_t>(c)])
            for (int64_t d = r.begin; d < r.end; d++)
              fma_row(m.program().numerics, own.data() + c * keys.size(), k + d * m.capacity, query[d - h * head.head_dim], keys.size());
        row_sum(own, low, high, out + (h * rows + t) * keys.size());
      }
    });
  }
  finish(m, g.c, out, head.heads * rows * keys.size(), false);
}

}  // namespace wafer::run
