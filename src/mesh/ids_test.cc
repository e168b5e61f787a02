// What must not compile is asked of the type system; what does, by running it.
#include "mesh/ids.h"

#include <gtest/gtest.h>

#include <concepts>
#include <map>
#include <string>
#include <type_traits>
#include <unordered_set>

#include "mesh/builder.h"
#include "mesh/program.h"

namespace wafer::mesh {
namespace {

template <class List, class Index>
concept takes = requires(List list, Index index) {
  list[index];
};

template <class A, class B>
concept compares = requires(A a, B b) {
  a == b;
}
|| requires(A a, B b) { a < b; };

template <class A, class B>
constexpr bool kMix = std::is_convertible_v<A, B> || std::is_constructible_v<B, A> || std::is_assignable_v<B&, A> || compares<A, B>;

// No kind of id passes for another, in either direction, and none for a plain number.
template <class Own, class... Others>
constexpr bool mixes_with_any() {
  return ((!std::same_as<Own, Others> && kMix<Own, Others>) || ...);
}
template <class... Ids>
constexpr bool any_mix() {
  return (mixes_with_any<Ids, Ids...>() || ...);
}
static_assert(!any_mix<TensorId, BufferId, RegionId, PhaseId, RouteId, MoveId>());
static_assert(kMix<BufferId, BufferId>);  // the question can be answered with yes

static_assert(!std::is_convertible_v<int, BufferId>);
static_assert(!std::is_convertible_v<BufferId, int>);
static_assert(!std::is_convertible_v<BufferId, bool>);
static_assert(!std::is_assignable_v<BufferId&, int>);
static_assert(!compares<BufferId, int>);
static_assert(std::is_constructible_v<BufferId, int>);

// Each list of a program is read by its own ids alone.
static_assert(takes<decltype(Program::buffers), BufferId>);
static_assert(!takes<decltype(Program::buffers), TensorId>);
static_assert(!takes<decltype(Program::buffers), int>);
static_assert(!takes<decltype(Program::buffers), size_t>);
static_assert(takes<decltype(Program::tensors), TensorId> && !takes<decltype(Program::tensors), BufferId>);
static_assert(takes<decltype(Program::regions), RegionId> && !takes<decltype(Program::regions), PhaseId>);
static_assert(takes<decltype(Program::phases), PhaseId> && !takes<decltype(Program::phases), RegionId>);
static_assert(takes<decltype(Program::routes), RouteId> && !takes<decltype(Program::routes), MoveId>);
static_assert(takes<decltype(Program::moves), MoveId> && !takes<decltype(Program::moves), RouteId>);

// Steps name their operands by id, and cannot be given a number.
static_assert(!std::is_constructible_v<Send, int> && std::is_constructible_v<Send, MoveId>);
static_assert(!std::is_assignable_v<decltype(Buffer::tensor)&, BufferId>);
static_assert(!std::is_assignable_v<decltype(Step::phase)&, RegionId>);

TEST(Ids, NoIdIsNone) {
  EXPECT_FALSE(BufferId().exists());
  EXPECT_TRUE(BufferId(0).exists());
  EXPECT_LT(BufferId(), BufferId(0));
  const Product g;
  EXPECT_FALSE(g.a.exists() || g.b.exists() || g.c.exists() || g.partial.exists() || g.a_here.exists() || g.b_here.exists());
  const Buffer b;
  EXPECT_FALSE(b.leaves_in.exists() || b.arrives_in.exists());
}

TEST(Ids, ComeInTheOrderInWhichTheirPartsWereAdded) {
  Program p;
  const PhaseId first = add_phase(p, "first"), second = add_phase(p, "second"), third = add_phase(p, "third");
  EXPECT_LT(first, second);
  EXPECT_EQ(third.index(), 2u);
  EXPECT_EQ(p.phases[second].name, "second");
  std::string names;
  for (const PhaseId id : p.phases.ids()) names += p.phases[id].name + " ";
  EXPECT_EQ(names, "first second third ");
}

TEST(Ids, AListOfNothingHasNoIds) {
  const Program p;
  for (const RouteId id : p.routes.ids()) ADD_FAILURE() << id.number;
}

TEST(Ids, AreKeys) {
  std::unordered_set<MoveId> seen = {MoveId(3), MoveId(4), MoveId(3)};
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_TRUE(seen.contains(MoveId(4)));
  std::map<RegionId, int> cores = {{RegionId(1), 10}, {RegionId(0), 5}};
  EXPECT_EQ(cores.begin()->second, 5);
}

TEST(IdVector, HasRoomForEachIdOfAnotherList) {
  Program p;
  for (const char* name : {"a", "b", "c"}) add_region(p, {.name = name});
  IdVector<RegionId, bool> done(p.regions.size(), false);
  done[RegionId(1)] = true;
  std::string open;
  for (const RegionId id : p.regions.ids())
    if (!done[id]) open += p.regions[id].name;
  EXPECT_EQ(open, "ac");
}

}  // namespace
}  // namespace wafer::mesh
