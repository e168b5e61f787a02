// The text of options turned into values. Each function throws Error naming the option, what it found and what it takes.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/numerics.h"
#include "mesh/coord.h"

namespace wafer::cli {

// What one option was given as; nothing where it was not.
using Given = std::optional<std::string>;

int64_t integer_of(std::string_view option, std::string_view text, int64_t least, int64_t most);
std::vector<int> integers_of(std::string_view option, std::string_view text, int64_t least, int64_t most);  // "20" or "72,9"
uint64_t seed_of(std::string_view option, std::string_view text);                                           // any 64-bit number
double real_of(std::string_view option, std::string_view text);
mesh::Extent mesh_of(std::string_view option, std::string_view text);  // "360x360"
Numerics numerics_of(std::string_view option, std::string_view text);
// Ids with spaces or commas between them, as `tokenize` prints them or as a file of ids holds them. Requires: vocab > 0.
std::vector<int32_t> ids_of(std::string_view option, std::string_view text, int64_t vocab);

}  // namespace wafer::cli
