#include "mesh/visit.h"

#include <gtest/gtest.h>

#include <string>
#include <type_traits>

namespace wafer::mesh {
namespace {

// A reader that lists every kind can be asked about any; one that has forgotten a kind cannot be made into a visitor at all.
using AllButHost = decltype(nothing_for<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Send, Receive,
                                        Loop, Group, Product>());
using Complete = overloaded<AllButHost, decltype(nothing_for<Host>())>;
template <class Visitor>
constexpr bool takes_every_kind = []<class... Kinds>(const std::variant<Kinds...>*) {
  return (std::is_invocable_v<const Visitor&, const Kinds&> && ...);
}(static_cast<const decltype(Step::what)*>(nullptr));
static_assert(takes_every_kind<Complete>);
static_assert(!takes_every_kind<AllButHost>);

// A loop of a local step and a group, in which are a shift and a loop of a host's step; then a send.
Steps nested() {
  const Step token{.name = "token", .what = Host{}}, shift{.name = "shift", .what = Shift{}};
  const Step rows{.name = "rows", .what = Loop{.fixed = 3, .body = {token}}};
  const Step pair{.name = "pair", .what = Group{.kind = GroupKind::overlap, .body = {shift, rows}}};
  return {{.name = "layers", .what = Loop{.fixed = 2, .body = {{.name = "add", .what = Local{}}, pair}}}, {.name = "give", .what = Send{}}};
}

TEST(Visit, CallsTheHandlerOfTheKind) {
  const auto text = [](const Step& step) {
    return visit(
        step, [](const Loop& s) { return "loop of " + std::to_string(s.fixed); }, same_for<Local, Shift>(std::string("a leaf")),
        for_kinds<Send, Receive>([] { return std::string("half a move"); }),
        same_for<Opaque, Reduce, RingReduce, Multicast, TileCast, RowShift, RootReduce, Host, Group, Product>(std::string("another")));
  };
  const Steps steps = nested();
  EXPECT_EQ(text(steps[0]), "loop of 2");
  EXPECT_EQ(text(body_of(steps[0])[0]), "a leaf");
  EXPECT_EQ(text(body_of(steps[0])[1]), "another");
  EXPECT_EQ(text(steps[1]), "half a move");
}

TEST(Visit, OnlyLoopsAndGroupsHaveABody) {
  const Steps steps = nested();
  EXPECT_FALSE(is_leaf(steps[0]));
  EXPECT_EQ(body_of(steps[0]).size(), 2u);
  EXPECT_FALSE(is_leaf(body_of(steps[0])[1]));
  EXPECT_TRUE(is_leaf(steps[1]));
  EXPECT_TRUE(body_of(steps[1]).empty());
}

TEST(ForEachStep, ComesBeforeItsBodyAndOnce) {
  std::string seen;
  for_each_step(nested(), [&](const Step& s) { seen += s.name + " "; });
  EXPECT_EQ(seen, "layers add pair shift rows token give ");
}

TEST(ForEachStep, GoesPastABodyWhereTold) {
  std::string seen;
  for_each_step(nested(), [&](const Step& s) {
    seen += s.name + " ";
    return std::holds_alternative<Group>(s.what) ? Walk::past : Walk::into;
  });
  EXPECT_EQ(seen, "layers add pair give ");
}

}  // namespace
}  // namespace wafer::mesh
