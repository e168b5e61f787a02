// The mesh program: what all cores of a wafer do, as plain data. Everything else reads it: verify() proves it legal, run() computes its
// values, time() its cycles, roles() the few programs of its cores. It knows tensors, layouts, routes and steps, and no model.
//
// Shape of a program:
//   tensors   logical arrays (name, dtype, dimensions; sizes may depend on parameters)
//   buffers   a tensor on a region: how each dimension is cut, in which phases it lives
//   phases    spans with one set of routes; a core's routes are rewritten only between phases
//   routes    along one axis of a region: paths (who sends to whom), each with a colour
//   entries   what the host can start: for each region a list of steps (leaf, loop or group), in order
//
// Steps are collective: every core of the region takes part with what its buffers hold (nothing, where a part is empty). Values between
// regions go by Move: a Send in one region's list, a Receive in the other's.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/numerics.h"
#include "mesh/coord.h"
#include "mesh/cut.h"
#include "mesh/ids.h"
#include "mesh/tree.h"

namespace wafer::mesh {

// ---- sizes, parameters -------------------------------------------------------------------------------------------------------

// The run-time parameters of an entry. Extents are functions of them; nothing else about a program changes at run time.
struct Params {
  int64_t cached = 0;  // positions whose K and V are stored before the entry starts: the position of its first token
  int64_t rows = 1;    // tokens that the entry adds: the chunk of a prefill, 1 in a decode step
  int64_t row = 0;     // the row of the chunk that a row entry reads
  int64_t chunk = 0;   // prefill: rows of a full chunk (the plan's; cached is a multiple of it)
};

enum class SizeKind : uint8_t {
  fixed,
  rows,       // params.rows
  positions,  // params.cached + params.rows: all keys that the entry sees
  keys        // the keys of one chunk: of the loop's chunk
};

struct Size {
  SizeKind kind = SizeKind::fixed;
  int64_t fixed = 1;
  int64_t limit = 1;  // the largest value, for which SRAM is reserved (fixed: the same)
};

enum class Dtype : uint8_t { f32, f16, q8_0, q4_0, i32, best /* a value and its index: f32 + i32 */ };
const char* name(Dtype t);
// Bytes of n elements; quantised types: without scales (see bytes.h).
int64_t bytes(Dtype t, int64_t n);

struct Dim {
  std::string name;
  Size size;
};

enum class LoopVar : uint8_t {
  layer,      // layers of a region
  member,     // query heads of a group, one after the other
  chunk,      // chunks of keys, from the first to the current one
  row,        // rows of the chunk
  ring_step,  // compute-shift steps of a product, steps of an alignment
  repeat      // the same again, as a benchmark does
};
const char* name(LoopVar v);

struct Tensor {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<Dim> dims;
  int copies = 1;                      // one for each layer, where the tensor belongs to a layer; for each chunk, where to one of keys
  LoopVar copies_by = LoopVar::layer;  // the loop whose index picks the copy
  int quantised_dim = 0;               // q8_0, q4_0: the dimension along which blocks of 32 run
};

// ---- placement -------------------------------------------------------------------------------------------------------------------

struct Region {
  std::string name;
  Rect rect;
};

enum class BufferKind : uint8_t { weights, cache, activations, partials, staging };
const char* name(BufferKind k);

// How one dimension of the tensor is cut. Dimensions that no DimCut names are held whole.
struct DimCut {
  int dim = 0;
  Axis axis = Axis::x;
  Cut cut;
};

struct Buffer {
  std::string name;
  TensorId tensor{0};
  RegionId region{0};
  BufferKind kind = BufferKind::activations;
  std::vector<DimCut> cuts;
  int first_copy = 0;  // copies [first_copy, first_copy + copies) of the tensor lie in this region
  int copies = 1;
  int slots = 1;                // 2: double-buffered while it shifts
  std::vector<int64_t> limits;  // [dims] the largest sizes here, where they are smaller than the tensor's; empty: the tensor's
  std::vector<PhaseId> phases;  // the phases in which its bytes are occupied
  // In a phase of several moments, copies leave or arrive one by one: copy first_copy + i is in flight at moments[i], when a leaving buffer
  // still holds it and an arriving one does not yet. A staging buffer with moments is occupied at those alone.
  PhaseId leaves_in{};
  PhaseId arrives_in{};
  std::vector<int> moments;
};

struct Phase {
  std::string name;
  int moments = 1;  // of a phase that moves stored copies in place, one after the other
};

// ---- routes ----------------------------------------------------------------------------------------------------------------------

// One colour's way along a line: from the ramp of core `from`, through every router between lo and hi, to the ramps of the receivers:
// `to` alone, or all of [lo, hi] except `from` (multicast). Positions count along the axis from the region's first core.
struct Path {
  int from = 0;
  int to = 0;
  bool multicast = false;
  int lo = 0;
  int hi = 0;
};
Path straight(int from, int to);
Path multicast(int from, int lo, int hi);

struct Route {
  std::string name;
  PhaseId phase{0};
  RegionId region{0};
  Axis axis = Axis::x;
  std::vector<Path> paths;   // the same on every line of the axis
  std::vector<int> colours;  // [paths]
};

// ---- steps -----------------------------------------------------------------------------------------------------------------------

// What a core computes on its own tiles. `rows` below is the dimension of tokens (absent in decode). Operand order is that of `in`, `out`.
// Everything is computed in fp32 and rounded once to the out buffer's dtype, but the multiply-adds of mat_vec, row_dots, weigh_rows and
// the tile products, which are in the program's numerics: see docs/design.md.
enum class LocalOp : uint8_t {
  square_sum,  // (x) -> ss[rows]: sum of x^2 over the core's own elements, index ascending, fp32 fma from 0
  normalise,   // (x, ss, gain) -> out = (x * rsqrt(ss / size + eps)) * gain
  mat_vec,     // (w[k][n], x[k]) -> out[n]: sum over the core's k in its order, fma from 0. A partial sum along w's k axis
  angles,      // (turns) -> [rows][pairs][2]: sine and cosine of position * frequency i; position = params.cached (or the row's)
  rotate,      // (x, angles) -> x: pairs (2i, 2i+1) of each head turned by angle i of the row
  store_rows,  // (k or v) -> cache: the new rows. Decode: row params.cached, in the last core row, after the shift
  row_dots,    // (q, keys) -> s[heads][keys]: sum over the core's own head dims, ascending, fma from 0. A partial sum inside a head run
  row_max,     // (s) -> m: max over own unmasked keys of s * scale, fp32; joins what m holds (-inf at first)
  exp_sum,     // (s, m) -> p = 2^(s * scale - m) (0 where masked), l: sum of the rounded p, key ascending, fp32 from 0
  weigh_rows,  // (p, values) -> o[heads][dims]: sum over own rows ascending, fma(p, v) from 0. A partial sum along y
  divide,      // (o, l) -> out = o * (1 / l)
  add,         // (a, b) -> a = a + b in a's dtype
  clear,       // () -> out = 0 (m: -inf)
  gate_mul,    // (g, u) -> out = silu(g) * u
  local_best,  // (logits) -> best: the largest own value and its lowest index
  look_up,     // (table[rows][dim], token) -> x: the row of the token, by the cores that own it
  tile_fma,    // (A, B) -> C += A_tile * B_tile of the current MeshGEMM step
  tile_fma_t,  // (A, B) -> partial = A_tile * B_tile^T of the current GEMM-T step
};
const char* name(LocalOp op);

struct Local {
  LocalOp op = LocalOp::add;
  std::vector<BufferId> in;
  std::vector<BufferId> out;
  float scale = 1.0f;    // row_max, exp_sum: log2(e) / sqrt(head_dim), so that weights are powers of two
  float epsilon = 0.0f;  // normalise
  int64_t size = 0;      // normalise: elements of a row
  int head_dim = 0;      // rotate, row_dots, weigh_rows
  int group = 1;         // query heads for each KV head
};

enum class ReduceOp : uint8_t { add, max, best };
const char* name(ReduceOp op);

// A buffer whose partial values a reduction joins, and how; with broadcast all cores of a run get the result, else the root alone.
struct ReducePart {
  BufferId buffer{};
  ReduceOp op = ReduceOp::add;
  bool broadcast = true;
  bool operator==(const ReducePart&) const = default;
};

// The partial values of the parts' buffers are joined along the axis, element by element, in the order of the forest's trees. The parts
// travel as one vector, in order, up the trees; then those that are broadcast from the root as one.
struct Reduce {
  Axis axis = Axis::x;
  std::vector<ReducePart> parts;
  Forest forest;
  IssueId issue{};  // none: as our kernels do
};

// The same on the interleaved ring of each run, as reduce-scatter and allgather. What a core has of a part's buffer is cut in as many
// parts as the ring has positions (part rule). Part j passes a running value down the ring from position j-1 to j-2, ..., j+1, j, each core
// adding its own (ring_chain() in tree.h): all parts at the same time, one neighbour a step. With broadcast the parts then go round once
// more, and all cores have all of them; else part j stays at ring position j alone.
struct RingReduce {
  Axis axis = Axis::x;
  std::vector<ReducePart> parts;
  std::vector<Range> runs;
};

// x along an axis from the cores that hold it (data-dependent: the owner of the token's row) to all cores of the line.
struct Multicast {
  Axis axis = Axis::x;
  BufferId buffer{};
};

enum class ShiftKind : uint8_t {
  ring_down,   // each logical position takes the tile of the next higher one, cyclically
  align_rows,  // step t of the alignment: row tile i of L still to move min(i, L-i) positions, in the shorter sense
  align_cols   // the same for column tiles along y
};

// Tiles move along rings: of the whole axis, or of each run separately. L of a ring's rectangle = max(run width, other side).
struct Shift {
  ShiftKind kind = ShiftKind::ring_down;
  Axis axis = Axis::x;
  BufferId buffer{};
  std::vector<Range> runs;  // positions along x of the rings' rectangles; a single run = the region
  LineOrder order = LineOrder::interleaved;
};

// Tiles of a product's operand, from the cores that own them to all others of their line: the one that holds block `turn + ahead` of the
// inner dimension (turn: of the innermost loop; none past the last block), or every core's, one after the other.
struct TileCast {
  Axis axis = Axis::x;
  BufferId buffer{};
  BufferId out{};  // where it arrives
  int64_t ahead = 0;
  bool all = false;
};

// KV cache by shift: with n = params.cached positions stored, every row i > H-1-(n mod H) passes its oldest entry to row i-1.
struct RowShift {
  std::vector<BufferId> buffers;
};

// GEMM-T: the partial tiles of a row are summed along x, in each run, to the core that owns the key block of the step (a two-sided chain).
struct RootReduce {
  BufferId partial{};
  BufferId out{};
  std::vector<Range> runs;
};

enum class MoveKind : uint8_t {
  relay,    // every element of the destination takes the source's element of the same index
  row_out,  // source [rows][n], row params.row -> destination [n]
  row_in,   // source [n] -> destination [rows][n], row = the loop's row
};
struct Move {
  std::string name;
  MoveKind kind = MoveKind::relay;
  BufferId source{};
  BufferId destination{};
  int copy = 0;  // the tensor copy (layer) that moves, where there are several
};
struct Send {
  MoveId move{};
};
struct Receive {
  MoveId move{};
};

// The host's end of the link: values enter or leave at the region's edge.
struct Host {
  bool to_host = false;
  BufferId buffer{};
};

struct Step;
using Steps = std::vector<Step>;

enum class CountKind : uint8_t {
  fixed,
  chunks,  // chunks up to and with the current one
  rows     // params.rows
};

struct Loop {
  LoopVar var = LoopVar::layer;
  CountKind count = CountKind::fixed;
  int64_t begin = 0;
  int64_t fixed = 1;
  Steps body;
  // Of a product's steps: a turn starts on all cores when the one before has ended on all of them. Else a core goes on when it has what it
  // needs.
  bool together = false;
};

enum class GroupKind : uint8_t {
  overlap,  // steps that may run at the same time
  block     // a named part of the program, for reports: no meaning of its own
};

struct Group {
  GroupKind kind = GroupKind::block;
  Steps body;
};

// How a product of two cut matrices is done. expand() (expand.h) is the schedule; what a reader does at once must be equal to it.
enum class Algorithm : uint8_t {
  mesh_gemm,  // tiles travel on interleaved rings: alignment, then L steps of product and shifts
  cannon,     // the same on rings in the order of the line; all cores start a step at the same time
  gemm_t,     // C = A B^T: L steps of product, row sum to the rotating root, shift of B
  summa,      // the L blocks of the inner dimension are multicast one after the other, while the one before is multiplied
  allgather   // after every core has gathered the tiles of its row and of its column
};
const char* name(Algorithm a);
inline LineOrder order_of(Algorithm a) { return a == Algorithm::cannon ? LineOrder::natural : LineOrder::interleaved; }
// Whether tiles of A and B travel on rings, so that each core meets them in a circle from a start of its own.
inline bool on_rings(Algorithm a) { return a == Algorithm::mesh_gemm || a == Algorithm::cannon; }
// Whether a step starts on all cores when the one before has ended on all of them.
inline bool starts_together(Algorithm a) { return a == Algorithm::cannon || a == Algorithm::summa; }

// A whole product: C = A B, or C = A B^T, in each of the rectangles that stand side by side in the region.
struct Product {
  Algorithm algorithm = Algorithm::mesh_gemm;
  BufferId a{};                 // [rows][k]: rows along y, k along x
  BufferId b{};                 // [k][n]: k along y, n along x; of gemm_t [n][k]
  BufferId c{};                 // [rows][n]
  BufferId partial{};           // gemm_t: the partial products of one step
  BufferId a_here{}, b_here{};  // summa, allgather: where tiles arrive
  // On rings and gemm_t: where the next tile arrives beside the current one, if not in a second slot of the operand itself.
  BufferId a_slot{}, b_slot{};
  std::vector<Range> runs;  // columns of each rectangle
  bool a_aligned = false;   // A is aligned already by an earlier product
  bool b_aligned = true;    // B lies aligned, as weights do; else its tiles are aligned along y
  // attention: KV heads, each with a product of its own inside its run, one after the other where a column has several; only the dims of
  // that head count, also where tiles are cut. 0: one product on the whole region
  int heads = 0;
  bool overlap = true;                      // the next tiles arrive during the product of the current ones; else after it
  std::vector<RouteId> x_routes, y_routes;  // of rings or casts
  std::vector<RouteId> chain_routes;        // gemm_t: neighbour to neighbour along x, for the row sums
};

// ---- other people's kernels ------------------------------------------------------------------------------------------------------
// What is known of kernels that are not ours is what their cores do, not with which values: such programs are timed, never run.

// Vector operations of `elements` each; in a map, whose descriptors stay loaded, or each issued on its own.
enum class VectorUnit : uint8_t { multiply_add, add, multiply, move, max };
struct VectorWork {
  int64_t count = 1;
  int64_t elements = 0;
  VectorUnit unit = VectorUnit::move;
  bool map = false;
};
// Machine actions and vector operations by count, of every core.
struct Work {
  int64_t tasks = 0, descriptor_loads = 0, descriptor_edits = 0, route_changes = 0;
  int64_t reciprocals = 0, square_roots = 0, exponentials = 0;
  std::vector<VectorWork> vectors;
};
struct Opaque {
  Work work;
};

// Machine actions of a core before a stream operation, beside the operation itself. The defaults are what our kernels do: one descriptor
// gets its address and is loaded.
struct BeforeOperation {
  int tasks = 0;
  int descriptor_loads = 1;
  int descriptor_edits = 1;
  bool operator==(const BeforeOperation&) const = default;
};
// How another's reduction issues its operations.
struct Issue {
  BeforeOperation first{}, later{};  // a core's first operation of the reduction, and each one after it
  int broadcast_operations = 1;      // 2: the root sends to each side by an operation of its own, the lower side first
  bool operator==(const Issue&) const = default;
};

struct Step {
  std::string name;
  PhaseId phase{0};
  std::variant<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Send, Receive, Host, Loop, Group,
               Product>
      what;
  std::vector<RouteId> routes{};  // the routes that the step's transfers use
};

// ---- the program -----------------------------------------------------------------------------------------------------------------

struct RegionSteps {
  RegionId region{0};
  Steps steps;
};

struct Entry {
  std::string name;
  std::vector<RegionSteps> lists;
  std::vector<BufferId> inputs{};   // that must hold a value when it starts; weights too
  std::vector<BufferId> outputs{};  // in which it leaves one for the host or for other entries
};

struct Program {
  std::string name;
  Numerics numerics = Numerics::mixed;
  Extent mesh;  // of the device
  IdVector<TensorId, Tensor> tensors;
  IdVector<RegionId, Region> regions;
  IdVector<PhaseId, Phase> phases;
  IdVector<BufferId, Buffer> buffers;
  IdVector<RouteId, Route> routes;
  IdVector<MoveId, Move> moves;
  IdVector<IssueId, Issue> issues;
  std::vector<Entry> entries;
};

int64_t value(const Size& s, const Params& p);
std::vector<BufferId> buffers_of(const std::vector<ReducePart>& parts);
// How a reduction issues its operations: by the program's table, or as our kernels do.
Issue issue_of(const Program& program, const Reduce& reduce);
const Entry& entry(const Program& program, const std::string& entry_name);  // CHECKs that it exists

}  // namespace wafer::mesh
