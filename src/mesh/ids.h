// Names of the parts of a mesh program: a number each, of a type of its own, so that a buffer is not taken for a tensor or a region for a
// phase. An id is the place of its part in the program's list of that kind, and the list takes no other kind of id.
#pragma once
#include <compare>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

#include "base/check.h"

namespace wafer::mesh {

template <class Tag>
struct Id {
  int number = -1;  // -1: none

  constexpr Id() = default;
  constexpr explicit Id(int n) : number(n) {}
  auto operator<=>(const Id&) const = default;

  constexpr bool exists() const { return number >= 0; }
  // Where its part stands in the list. Requires: it exists.
  constexpr size_t index() const {
    DCHECK(exists(), "the index of no id");
    return static_cast<size_t>(number);
  }
};

using TensorId = Id<struct TensorTag>;
using BufferId = Id<struct BufferTag>;
using RegionId = Id<struct RegionTag>;
using PhaseId = Id<struct PhaseTag>;
using RouteId = Id<struct RouteTag>;
using MoveId = Id<struct MoveTag>;
using IssueId = Id<struct IssueTag>;

// The ids of a list, in order.
template <class Key>
struct IdRange {
  struct Iterator {
    int at;
    Key operator*() const { return Key(at); }
    Iterator& operator++() {
      at++;
      return *this;
    }
    bool operator==(const Iterator&) const = default;
  };
  int size = 0;
  Iterator begin() const { return {0}; }
  Iterator end() const { return {size}; }
};

// A list that is read by ids of one kind.
template <class Key, class T>
class IdVector {
 public:
  using value_type = T;

  IdVector() = default;
  IdVector(std::initializer_list<T> items) : items_(items) {}
  // `count` items, all equal: room for one of each id of another list.
  explicit IdVector(size_t count, const T& item = T()) : items_(count, item) {}

  decltype(auto) operator[](Key id) { return items_[id.index()]; }
  decltype(auto) operator[](Key id) const { return items_[id.index()]; }

  // Adds an item and names it.
  Key add(T item) {
    items_.push_back(std::move(item));
    return Key(static_cast<int>(items_.size()) - 1);
  }
  IdRange<Key> ids() const { return {static_cast<int>(items_.size())}; }

  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  auto begin() { return items_.begin(); }
  auto begin() const { return items_.begin(); }
  auto end() { return items_.end(); }
  auto end() const { return items_.end(); }
  decltype(auto) front() { return items_.front(); }
  decltype(auto) front() const { return items_.front(); }
  decltype(auto) back() { return items_.back(); }
  decltype(auto) back() const { return items_.back(); }
  void clear() { items_.clear(); }
  void pop_back() { items_.pop_back(); }

 private:
  std::vector<T> items_;
};

}  // namespace wafer::mesh

template <class Tag>
struct std::hash<wafer::mesh::Id<Tag>> {
  size_t operator()(wafer::mesh::Id<Tag> id) const noexcept { return std::hash<int>()(id.number); }
};
