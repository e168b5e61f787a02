// Numbers and tables as people read them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/numerics.h"
#include "mesh/coord.h"

namespace wafer {

std::string grouped(int64_t n);                          // 49152 -> "49,152"
std::string counted(int64_t n, std::string_view thing);  // "1 region", "3 regions"
std::string significant(double value);                   // three significant digits, no exponent: "0.0123", "4.56", "1,230"
std::string per_second(int64_t things, double seconds);  // "123", "-" where nothing was done or no time passed
std::string mesh_text(mesh::Extent e);                   // "360x360", the form of --mesh
std::string_view name_of(Numerics numerics);             // "mixed"

// What reports and helps are folded to. Warnings and errors are a line each, for those who search them.
constexpr size_t kLineWidth = 80;

// Rows of cells with their columns aligned, two spaces between them. Cells are escaped (base/printable.h), so that a name out of a file is
// one cell of one line. `alignment` holds one letter a column: 'r' right, 'l' left; columns past its end are left. No space is left at the
// end of a line; each line begins with `indent`. Where lines would be longer than kLineWidth, a left last column is folded, or moved to
// lines of its own below its row if there is no room beside it; what is too long all the same are names in the first column and words,
// which end in "..." (--json has them in full). Wide::yes leaves lines as they are.
using Row = std::vector<std::string>;
enum class Wide : uint8_t { no, yes };
std::string table(const std::vector<Row>& rows, std::string_view alignment, std::string_view indent = "", Wide wide = Wide::no);
// Lines of prose, folded at spaces: what a line is continued with begins where its second column does, or `hang` letters after its first. A
// command (`waferllm ...`) is continued before an option, as a shell takes it. What names of files are in hangs, so that none of them can
// write a line of its own.
std::string folded(std::string_view text, size_t hang = 0);
// Rows {name, line}, {"", line} ... of two columns: the pieces, with a space between them, in lines of at most `width` letters. A piece
// that is longer has a line of its own.
std::vector<Row> wrapped_rows(const std::string& name, const std::vector<std::string>& pieces, size_t width);
std::vector<std::string> words_of(const std::string& text);  // pieces: what stands between spaces

}  // namespace wafer
