// What is wrong with a command line that the parser has refused, in our words.
#pragma once
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace wafer::cli {

// Throws the Error that tells the first fault of the words after the program's name: an unknown command or option (with the one that is
// near), an option without its value or given twice, a word too many, something required that is missing. `parser_words`: what the parser
// says, for a fault that is none of these.
[[noreturn]] void explain_fault(const CLI::App& program, const std::vector<std::string>& words, const std::string& parser_words);

}  // namespace wafer::cli
