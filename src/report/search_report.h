// What a search tried and what it took, for `plan --goal` and `run --goal`.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "search/search.h"

namespace wafer {

// Lines for people: the request, how many candidates, why some were turned down, the best few of each phase.
std::string search_text(const SearchResult& result, const Device& device);
nlohmann::ordered_json search_json(const SearchResult& result);

}  // namespace wafer
