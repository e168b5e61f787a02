// waferllm tokenize: JSON strings or arrays of ids, one a line on stdin; the other on stdout.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "model/gguf.h"
#include "report/json_line.h"
#include "text/tokenizer.h"

namespace wafer::cli {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(int64_t line, const std::string& found, const char* expected) {
  throw Error{{.where = fmt::format("stdin, line {}", line), .found = found, .expected = expected, .fix = "correct the line"}};
}

std::string encoded(const Tokenizer& t, const TokenizeArguments& a, const Json& value, int64_t line) {
  if (!value.is_string()) refuse(line, fmt::format("JSON of type {}", value.type_name()), "a JSON string");
  return json_line(encode(t, value.get_ref<const std::string&>(), {.add_bos = a.bos, .parse_special = !a.no_special}));
}

std::string decoded(const Tokenizer& t, const TokenizeArguments& a, const Json& value, int64_t line) {
  if (!value.is_array()) refuse(line, fmt::format("JSON of type {}", value.type_name()), "a JSON array of token ids");
  const auto vocab = static_cast<int64_t>(t.pieces.size());
  std::vector<int32_t> ids;
  for (const Json& id : value) {
    const bool known = id.is_number_integer() && (!id.is_number_unsigned() || id.get<uint64_t>() < static_cast<uint64_t>(vocab)) &&
                       id.get<int64_t>() >= 0 && id.get<int64_t>() < vocab;
    if (!known) refuse(line, wafer::quoted(id.dump(-1, ' ', true)), fmt::format("token ids from 0 to {}", vocab - 1).c_str());
    ids.push_back(id.get<int32_t>());
  }
  return json_line(decode(t, ids, a.no_special ? SpecialText::hide : SpecialText::show));
}

}  // namespace

void tokenize_command(const TokenizeArguments& a) {
  if (a.decode && a.bos) throw Error{{.where = "--bos", .found = "--decode beside it", .expected = "one of them", .fix = "leave one out"}};
  const Tokenizer tokenizer = load_tokenizer(a.model);
  if (a.bos && tokenizer.bos == kNoToken)
    throw Error{{.where = a.model, .found = "a vocabulary without BOS", .expected = "one, for --bos", .fix = "leave --bos out"}};
  std::ios::sync_with_stdio(false);
  int64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    number++;
    const Json value = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) refuse(number, wafer::quoted(line), a.decode ? "a JSON array of token ids" : "a JSON string");
    write_out((a.decode ? decoded(tokenizer, a, value, number) : encoded(tokenizer, a, value, number)) + "\n");
  }
}

}  // namespace wafer::cli
