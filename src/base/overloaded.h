// std::visit with one lambda for each alternative: a kind that is forgotten does not compile.
#pragma once

namespace wafer {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace wafer
