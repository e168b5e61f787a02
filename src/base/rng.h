// A small random generator whose numbers are the same everywhere: xoshiro256** (Blackman and Vigna, 2018; public domain),
// seeded through splitmix64. The distributions of <random> differ between libraries, so none is used.
#pragma once
#include <array>
#include <bit>
#include <cstdint>

namespace wafer {

struct Rng {
  std::array<uint64_t, 4> state = {};

  explicit Rng(uint64_t seed) {
    for (uint64_t& word : state) {
      seed += 0x9e3779b97f4a7c15u;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      word = z ^ (z >> 31);
    }
  }
};

inline uint64_t next_u64(Rng& rng) {
  std::array<uint64_t, 4>& s = rng.state;
  const uint64_t result = std::rotl(s[1] * 5, 7) * 9;
  const uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = std::rotl(s[3], 45);
  return result;
}

// Uniform in [0, 1), a multiple of 2^-53.
inline double next_double(Rng& rng) { return static_cast<double>(next_u64(rng) >> 11) * 0x1p-53; }

// Uniform in [0, n). Requires: n > 0. The bias of the multiplication is below n / 2^64.
inline uint64_t next_below(Rng& rng, uint64_t n) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((static_cast<Wide>(next_u64(rng)) * n) >> 64);
}

}  // namespace wafer
