// Text that comes from a file or from the command line, made fit to stand in a line of a report or a message: it cannot end the line, move
// the cursor, or turn around what follows.
#pragma once
#include <string>
#include <string_view>

namespace wafer {

// A character that a terminal obeys in place of showing it: controls (C0, DEL, C1), line and paragraph separators, directions of writing,
// and the rest of Unicode's format characters that show nothing.
bool is_invisible(char32_t code);

// The text with each of those written out (\n, \x1b, \u202e), and so each byte that is no UTF-8 (\xff). All else stays: escaping what is
// escaped changes nothing.
std::string escaped(std::string_view text);

// The same between double quotes, cut after 60 characters; quotes and backslashes inside have a backslash before them.
std::string quoted(std::string_view text);

}  // namespace wafer
