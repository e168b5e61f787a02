#include "report/model_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "base/utf8.h"
#include "report/json_line.h"
#include "report/text.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

int64_t elements(const TensorRow& t) {
  int64_t n = 1;
  for (const int64_t side : t.shape) n *= side;
  return n;
}

struct Totals {
  int64_t tensors = 0, parameters = 0, bytes = 0;
  std::map<std::string, int64_t> bytes_by_type;
};

Totals totals_of(const ModelReport& r) {
  Totals t;
  for (const TensorRow& row : r.tensors) {
    t.tensors++;
    t.parameters += elements(row);
    t.bytes += row.bytes;
    t.bytes_by_type[row.type] += row.bytes;
  }
  return t;
}

std::string token_text(const Tokenizer& t, int32_t id) {
  return id == kNoToken ? "none" : fmt::format("{} {}", id, wafer::quoted(t.pieces[static_cast<size_t>(id)]));
}

Row token_row(const Tokenizer& t, const char* name, int32_t id) { return {name, token_text(t, id)}; }

std::vector<Row> tokenizer_rows(const Tokenizer& t) {
  std::vector<std::string> stop;
  for (const int32_t id : t.stop) stop.push_back(token_text(t, id));
  return {{"tokens", grouped(static_cast<int64_t>(t.pieces.size()))},
          token_row(t, "BOS", t.bos),
          token_row(t, "EOS", t.eos),
          token_row(t, "unknown", t.unk),
          {"stop tokens", fmt::format("{}", fmt::join(stop, ", "))},
          {"BOS before a prompt", t.add_bos ? "yes" : "no"},
          {"space before a text", t.add_space_prefix ? "yes" : "no"},
          {"byte tokens", t.byte_fallback ? "yes" : "no"}};
}

Json tokenizer_json(const Tokenizer& t) {
  const auto id = [](int32_t token) { return token == kNoToken ? Json(nullptr) : Json(token); };
  return {{"tokens", t.pieces.size()},
          {"bos", id(t.bos)},
          {"eos", id(t.eos)},
          {"unknown", id(t.unk)},
          {"stop", t.stop},
          {"add_bos", t.add_bos},
          {"add_space_prefix", t.add_space_prefix},
          {"byte_fallback", t.byte_fallback}};
}

std::vector<std::pair<std::string, Json>> config_rows(const ModelConfig& c) {
  return {{"name", c.name},
          {"architecture", c.architecture},
          {"layers", c.layers},
          {"dim", c.dim},
          {"heads", c.heads},
          {"kv_heads", c.kv_heads},
          {"head_dim", c.head_dim},
          {"ffn", c.ffn},
          {"experts", c.experts},
          {"experts_used", c.experts_used},
          {"vocab", c.vocab},
          {"context", c.context},
          {"norm_epsilon", c.norm_epsilon},
          {"rope_base", c.rope_base},
          {"rope_factors", c.rope_factors.size()},
          {"tied_embedding", c.tied_embedding},
          {"weights", name_of(c.weights)}};
}

// A name of a file as a key of JSON, where bytes that are no UTF-8 would all become the same character: they are written \xff; and where
// that is another name's spelling, a number is added.
std::string json_key(const std::string& name, const Json& object) {
  const std::string key = to_valid_utf8(name) == name ? name : escaped(name);
  std::string own = key;
  for (int n = 2; object.contains(own); n++) own = fmt::format("{} ({})", key, n);
  return own;
}

std::string cell(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  return value.dump();
}

}  // namespace

ModelReport model_report(const Gguf& gguf) {
  ModelReport report{.path = gguf.path, .format = fmt::format("GGUF {}", gguf.version)};
  for (const GgufPair& pair : gguf.metadata) report.metadata.emplace_back(pair.key, to_text(pair.value));
  for (const GgufTensor& t : gguf.tensors) {
    TensorRow row{.name = std::string(t.name), .type = std::string(name_of(t.type)), .bytes = static_cast<int64_t>(t.bytes.size())};
    for (int d = t.dimensions - 1; d >= 0; d--) row.shape.push_back(t.shape[static_cast<size_t>(d)]);
    report.tensors.push_back(std::move(row));
  }
  return report;
}

ModelReport shape_report(const std::string& path, const ModelConfig& c) {
  ModelReport report{.path = path, .format = "shape", .config = c, .why_no_tokenizer = "a shape file has none"};
  const auto add = [&](const std::string& name, TensorType type, std::vector<int64_t> shape) {
    int64_t n = 1;
    for (const int64_t side : shape) n *= side;
    report.tensors.push_back({.name = name, .type = std::string(name_of(type)), .shape = std::move(shape), .bytes = bytes_of(type, n)});
  };
  add("embedding", c.weights, {c.vocab, c.dim});
  for (int64_t l = 0; l < c.layers; l++) {
    const auto name = [&](const char* what) { return fmt::format("layer.{}.{}", l, what); };
    add(name("attn_norm"), TensorType::f32, {c.dim});
    add(name("q"), c.weights, {q_width(c), c.dim});
    add(name("k"), c.weights, {kv_width(c), c.dim});
    add(name("v"), c.weights, {kv_width(c), c.dim});
    add(name("o"), c.weights, {c.dim, q_width(c)});
    add(name("ffn_norm"), TensorType::f32, {c.dim});
    const auto add_ffn = [&](const char* what, int64_t outputs, int64_t inputs) {
      add(name(what), c.weights, has_experts(c) ? std::vector{c.experts, outputs, inputs} : std::vector{outputs, inputs});
    };
    if (has_experts(c)) add(name("router"), TensorType::f16, {c.experts, c.dim});
    add_ffn("gate", c.ffn, c.dim);
    add_ffn("up", c.ffn, c.dim);
    add_ffn("down", c.dim, c.ffn);
  }
  add("output_norm", TensorType::f32, {c.dim});
  if (!c.tied_embedding) add("output", c.weights, {c.vocab, c.dim});
  return report;
}

std::string model_text(const ModelReport& r) {
  std::string text = fmt::format("{}: {}\n", escaped(r.path), r.format);
  if (r.config) {
    std::vector<Row> rows;
    for (const auto& [key, value] : config_rows(*r.config)) rows.push_back({key, cell(value)});
    if (const std::string as = taken_as(*r.config); !as.empty()) rows.push_back({"", as});
    text += "\nconfig\n" + table(rows, "ll", "  ");
  } else {
    text += folded(fmt::format("\nconfig: not one that this system runs: {}\n", r.why_no_config), 2);
  }
  if (!r.metadata.empty()) {
    std::vector<Row> rows;
    for (const auto& [key, value] : r.metadata) rows.push_back({key, value});
    text += "\nmetadata\n" + table(rows, "ll", "  ");
  }
  if (r.tokenizer)
    text += "\ntokenizer\n" + table(tokenizer_rows(*r.tokenizer), "ll", "  ");
  else
    text += folded(fmt::format("\ntokenizer: none: {}\n", r.why_no_tokenizer), 2);
  std::vector<Row> rows = {{"tensor", "type", "shape", "bytes"}};
  for (const TensorRow& t : r.tensors) rows.push_back({t.name, t.type, fmt::format("[{}]", fmt::join(t.shape, ", ")), grouped(t.bytes)});
  text += "\n" + table(rows, "lllr");
  const Totals totals = totals_of(r);
  std::string sums = fmt::format("\n{}, {}, {}", counted(totals.tensors, "tensor"), counted(totals.parameters, "parameter"),
                                 counted(totals.bytes, "byte"));
  for (const auto& [type, bytes] : totals.bytes_by_type) sums += fmt::format(", {} {}", type, grouped(bytes));
  return text + folded(sums, 2);
}

std::string model_json(const ModelReport& r) {
  Json json = {{"path", r.path}, {"format", r.format}};
  json["config"] = nullptr;
  if (r.config) {
    json["config"] = Json::object();
    for (const auto& [key, value] : config_rows(*r.config)) json["config"][key] = value;
    json["config"]["rope_factors"] = r.config->rope_factors;
    json["leaves_out"] = left_out(*r.config).empty() ? Json(nullptr) : Json(left_out(*r.config));
  } else {
    json["why_no_config"] = r.why_no_config;
  }
  Json metadata = Json::object();
  for (const auto& [key, value] : r.metadata) metadata[json_key(key, metadata)] = value;
  json["metadata"] = metadata;
  json["tokenizer"] = r.tokenizer ? tokenizer_json(*r.tokenizer) : Json(nullptr);
  if (!r.tokenizer) json["why_no_tokenizer"] = r.why_no_tokenizer;
  json["tensors"] = Json::array();
  for (const TensorRow& t : r.tensors)
    json["tensors"].push_back({{"name", t.name}, {"type", t.type}, {"shape", t.shape}, {"bytes", t.bytes}});
  const Totals totals = totals_of(r);
  json["totals"] = {
      {"tensors", totals.tensors}, {"parameters", totals.parameters}, {"bytes", totals.bytes}, {"bytes_by_type", totals.bytes_by_type}};
  return json_line(json);
}

}  // namespace wafer
