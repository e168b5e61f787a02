// JSON as it is printed: one line, in which strings hold nothing that a terminal obeys in place of showing it.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace wafer {

// Without a newline at its end. Invisible characters (base/printable.h) are written \uXXXX, bytes that are no UTF-8 as U+FFFD, so that a
// reader gets the strings as they are in the file but for those bytes.
std::string json_line(const nlohmann::ordered_json& json);

}  // namespace wafer
