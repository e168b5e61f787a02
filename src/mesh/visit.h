// Reading steps by their kind, so that the compiler names the reader that forgets one: a handler for each kind of Step::what, and the kinds
// with which the reader has nothing to do listed too.
//
//   visit(step, [&](const Local& s) { ... },
//               [&](const Loop& s) { ... },
//               nothing_for<Reduce, RingReduce, Multicast, ...>());
#pragma once
#include <algorithm>
#include <concepts>
#include <cstdint>
#include <utility>
#include <variant>

#include "mesh/program.h"

namespace wafer::mesh {

template <class... Handlers>
struct overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
overloaded(Handlers...) -> overloaded<Handlers...>;

// One handler, which does not look at the step, for the kinds listed and no others.
template <class Handler, class... Kinds>
struct ForKinds {
  Handler handler;
  template <class Kind>
  requires(std::same_as<Kind, Kinds> || ...) decltype(auto) operator()(const Kind&) const { return handler(); }
};
template <class... Kinds, class Handler>
ForKinds<Handler, Kinds...> for_kinds(Handler handler) {
  return {std::move(handler)};
}
template <class... Kinds>
auto nothing_for() {
  return for_kinds<Kinds...>([] {});
}
template <class... Kinds, class Value>
auto same_for(Value value) {
  return for_kinds<Kinds...>([value = std::move(value)] { return value; });
}

// Calls the handler of the step's kind. Does not compile where a kind has none.
template <class... Handlers>
decltype(auto) visit(const Step& step, Handlers... handlers) {
  return std::visit(overloaded{std::move(handlers)...}, step.what);
}

// The steps inside a step: of a loop one turn's, of a group its parts. A leaf has none.
bool is_leaf(const Step& step);
const Steps& body_of(const Step& step);

// Whether a walk goes on into the steps inside of one, or past them.
enum class Walk : uint8_t { into, past };

// Calls see(step) for every step in the order of the program, each before the steps inside it; a loop's body is seen once. see() may return
// a Walk.
template <class See>
void for_each_step(const Steps& steps, const See& see);
template <class See>
void for_each_step(const Step& step, const See& see) {
  if constexpr (std::same_as<decltype(see(step)), Walk>) {
    if (see(step) == Walk::past) return;
  } else {
    see(step);
  }
  for_each_step(body_of(step), see);
}
template <class See>
void for_each_step(const Steps& steps, const See& see) {
  for (const Step& step : steps) for_each_step(step, see);
}

// Whether is(step) holds for any step, those inside others among them.
template <class Is>
bool any_step(const Steps& steps, const Is& is) {
  return std::any_of(steps.begin(), steps.end(), [&](const Step& step) { return is(step) || any_step(body_of(step), is); });
}
template <class Kind>
bool any_of_kind(const Steps& steps) {
  return any_step(steps, [](const Step& step) { return std::holds_alternative<Kind>(step.what); });
}
bool has_product(const Steps& steps);

}  // namespace wafer::mesh
