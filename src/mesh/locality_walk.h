// The parts of check_locality(); internal to locality*.cc.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "mesh/bytes.h"
#include "mesh/locality.h"
#include "mesh/operations.h"

namespace wafer::mesh::locality {

using Ranges = std::vector<Range>;

// Values of the loops around a step.
struct Context {
  Params params;
  int64_t layer = 0, member = 0, chunk = 0, row = 0;
};

// Where the walk stands: for messages, and for what depends on sizes.
struct Place {
  const Entry* entry = nullptr;
  RegionId region{};
  const Step* step = nullptr;
  Context context{};
  int use = 0;  // number of the entry's run: with the chunk it stands for all sizes
};

struct Core {
  int x = 0, y = 0;  // of a region
};

// ---- what lies where -------------------------------------------------------------------------------------------------------------

// The cut of a dimension along an axis; null: whole on every position.
const Cut* cut_on(const Buffer& buffer, int dim, Axis axis);
Ranges held(const Cut* cut, int64_t n, int position);
bool same_cut(const Cut* a, const Cut* b);
// The first position along the axis at which two cuts of n indices differ; -1: none.
int first_difference(const Cut* a, const Cut* b, int64_t n, int positions);
int64_t size_of(const Size& size, const Context& c);
std::string text_of(const Ranges& ranges);
// The ranges in ascending order, neighbours joined. Two that meet stay two: `twice` tells.
Ranges sorted(Ranges ranges, bool* twice = nullptr);

// ---- what a buffer holds -----------------------------------------------------------------------------------------------------------

// Of a sum along an axis: by position, the indices that went into the core's own value, and those that make it whole.
struct Shares {
  std::vector<Ranges> held, wanted;
};

struct Partial {
  ReduceOp op = ReduceOp::add;
  std::shared_ptr<const Shares> shares;  // null: any (an input of the program)
};

enum class Spread : uint8_t {
  everywhere,
  root,      // at the roots of the runs
  owners,    // at cores that only the token tells
  scattered  // part j at ring position j
};

struct Value {
  bool defined = false;
  std::array<std::optional<Partial>, 2> partial{};  // by axis
  std::array<Spread, 2> spread{};                   // by axis
  bool aligned = false;
  std::optional<float> cleared{};  // nothing but the start of a sum or of a maximum
  int64_t chunk = -1;              // of the keys of one chunk alone
  int64_t pieces = 0, wanted = 0;  // rows, members of a group or chunks that are there, of those that make it whole; wanted 0: of one piece
  int64_t rows = -1;               // params.rows when it was written; -1: does not depend on them
  int64_t stored = 0;              // cache: positions
  bool room = false;               // cache: shifted, so that a row can be added
  std::optional<float> scale{};    // of a maximum
  bool read = true;                // since it was written
  bool handed_over = false;        // to the host
  bool lost = false;               // undefined, as its phase has ended
  std::string writer{};
  int64_t version = 0;
  size_t since = 0;                                // the place in its region's list of phases up to which it is known to be needed
  int read_in = 0;                                 // number of the entry's run in which it was last read as it was before
  std::set<std::pair<BufferId, int64_t>> added{};  // buffers and their versions that were added to it
  std::map<BufferId, int64_t> made_of{};           // buffers and their versions of which one step has made it
};

// What a Local step writes into one of its outputs.
struct Result {
  std::array<std::optional<Partial>, 2> partial{};
  std::array<Spread, 2> spread{};
};

const char* name(Spread s);
bool has_keys(const Tensor& t);

// ---- the checker -------------------------------------------------------------------------------------------------------------------

struct Checker {
  const Program& p;
  std::vector<Diagnostic> out{};
  std::set<std::tuple<Rule, std::string, BufferId>> told{};
  IdVector<BufferId, std::vector<Value>> values{};
  int64_t versions = 0;
  int uses = 0;
  std::map<std::tuple<const Step*, int, int64_t>, std::vector<Result>> results{};  // of Local steps, by step, use, chunk
  std::set<std::tuple<const Step*, int, int64_t>> seen{};                          // other steps whose places have been compared
  IdVector<RegionId, std::vector<PhaseId>> phases{};                               // that a region has gone through
  IdVector<BufferId, std::set<PhaseId>> needed{};                                  // in which a buffer holds what is read there or later
  std::set<BufferId> read_first{}, written{};                                      // in the entry that runs
  std::map<MoveId, std::vector<int64_t>> in_flight{};                              // rows stored in what was sent

  explicit Checker(const Program& program) : p(program), needed(program.buffers.size()) {}

  const Buffer& buffer(BufferId b) const { return p.buffers[b]; }
  const Tensor& tensor(BufferId b) const { return p.tensors[p.buffers[b].tensor]; }
  Extent extent_of(RegionId r) const { return extent(p.regions[r].rect); }
  int64_t size(BufferId b, size_t d, const Context& c) const { return size_of(tensor(b).dims[d].size, c); }
  bool is_cache(BufferId b) const { return buffer(b).kind == BufferKind::cache; }

  void report(Rule rule, const Place& at, BufferId about, const std::string& text, Core core = {});
  void report_at(Rule rule, const Place& at, BufferId about, const std::string& text, Axis axis, int position);

  // The state of the copy that a step means; null, and told, where the buffer has no such copy.
  Value* find(BufferId b, const Place& at, std::optional<int64_t> copy = {});
  // The step's buffers: of its region, alive in its phase.
  bool usable(BufferId b, const Place& at);
  // The step reads the buffer on every core; or, where `all_cores` is false, wherever it is.
  void read(BufferId b, const Place& at, bool all_cores, std::optional<int64_t> copy = {});
  // The step goes on with what the buffer held before it.
  void before(BufferId b, Value& v, const Place& at);
  // The buffer has held its value from where it was last used to here.
  void keep(BufferId b, Value& v);
  // A new value in place of the old one.
  Value& write(BufferId b, const Place& at, std::optional<int64_t> copy = {});
  // One more piece of a value that comes in `wanted` pieces. The first one begins it anew.
  Value& write_piece(BufferId b, const Place& at, int64_t piece, int64_t wanted, const char* what);
};

// "entry E, region R, step S".
std::string where_of(const Checker& c, const Place& at);

// What is wrong with placements by themselves.
void check_buffers(Checker& c);

// The operands of a local step: their number, shapes, places. Returns what it leaves in its outputs.
std::vector<Result> check_local(Checker& c, const Place& at, const Local& op);
void check_product(Checker& c, const Place& at, const Product& product);
// The forest of a reduction, and the shares that its runs join.
void check_forest(Checker& c, const Place& at, Axis axis, const Forest& forest);
void check_shares(Checker& c, const Place& at, Axis axis, const std::vector<Range>& runs, BufferId b, const Shares* shares);
void check_move(Checker& c, const Place& at, const Move& move);

// Buffers that have bytes in phases in which nobody needs them.
void check_phases(Checker& c);

// The state after a step.
void run_leaf(Checker& c, const Place& at);

}  // namespace wafer::mesh::locality
