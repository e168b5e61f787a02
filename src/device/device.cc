// Loading, validation and printing of devices, all from one table of fields.
#include "device/device.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <variant>

#include "base/check.h"
#include "base/data_folder.h"
#include "base/error.h"

namespace wafer {
namespace {

namespace fs = std::filesystem;

using Integer = int64_t Device::*;
using Real = double Device::*;
using List = std::vector<int64_t> Device::*;
using Word = std::string Device::*;

// min and max bound a number, or each element of a list. They keep nonsense out; a real chip is far inside. A word is one of `words`.
struct Field {
  std::string_view name;
  std::string_view unit;
  std::variant<Integer, Real, List, Word> member;
  double min;
  double max;
  std::array<std::string_view, 3> words = {};  // empty ones count for nothing
};

#define FIELD(member, unit, min, max) \
  Field { #member, unit, &Device::member, min, max }
#define WORD(member, unit, ...)                           \
  Field {                                                 \
#member, unit, &Device::member, 0, 0, { __VA_ARGS__ } \
  }
constexpr Field kFields[] = {
    FIELD(mesh_width, "cores", 1, 4096),
    FIELD(mesh_height, "cores", 1, 4096),

    FIELD(hop_cycles, "cycles", 1, 1000),
    FIELD(ramp_cycles, "cycles", 1, 1000),
    FIELD(wavelet_bits, "bits", 16, 512),
    FIELD(wavelets_per_cycle_per_link, "wavelets/cycle", 1, 16),
    FIELD(wavelets_per_cycle_per_ramp, "wavelets/cycle", 1, 16),

    FIELD(sram_bytes_per_core, "bytes", 1024, 1 << 30),
    FIELD(code_and_system_bytes, "bytes", 0, 1 << 30),
    FIELD(code_and_system_bytes_measured, "bytes", 0, 1 << 30),
    FIELD(sram_read_bytes_per_cycle, "bytes/cycle", 1, 1 << 16),

    FIELD(free_colours, "colour ids", 0, 63),
    FIELD(routable_colours, "colours", 1, 64),
    FIELD(router_queue_wavelets, "wavelets", 1, 1024),
    FIELD(input_queue_wavelets, "wavelets", 1, 1024),
    FIELD(output_queue_wavelets, "wavelets", 1, 1024),
    FIELD(background_operations_per_core, "operations", 1, 64),

    FIELD(fmac_f16_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(fmac_mixed_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(fmac_f32_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(add_f16_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(add_mixed_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(add_f32_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(mul_f16_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(mul_f32_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(max_f16_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(max_f32_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(move_16_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(move_32_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(scale_f32_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(integer_16_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(convert_f16_to_f32_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(convert_f32_to_f16_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(convert_i16_to_f16_elements_per_cycle, "elements/cycle", 1, 1024),
    FIELD(convert_i16_to_f32_elements_per_cycle, "elements/cycle", 1, 1024),

    FIELD(stream_op_overhead_cycles, "cycles", 0, 100000),
    FIELD(task_activation_cycles, "cycles", 0, 100000),
    FIELD(descriptor_load_cycles, "cycles", 0, 100000),
    FIELD(descriptor_edit_cycles, "cycles", 0, 100000),
    FIELD(route_change_cycles, "cycles", 0, 100000),
    FIELD(map_iteration_cycles, "cycles", 0, 100000),
    FIELD(forward_f16_cycles, "cycles", 0, 100000),
    FIELD(exchange_step_cycles, "cycles", 0, 100000),
    FIELD(background_wavelet_cycles, "cycles", 0, 100),
    FIELD(exp_cycles, "cycles", 0, 100000),
    FIELD(rsqrt_cycles, "cycles", 0, 100000),
    FIELD(reciprocal_cycles, "cycles", 0, 100000),
    FIELD(sincos_cycles, "cycles", 0, 100000),

    FIELD(clock_hz, "Hz", 1e3, 1e12),
    FIELD(power_watts, "watts", 1e-3, 1e9),
    FIELD(host_round_trip_seconds, "seconds", 0, 3600),

    FIELD(multiply_add_picojoules, "pJ", 0, 1e6),
    FIELD(ramp_picojoules, "pJ", 0, 1e6),
    FIELD(hop_picojoules, "pJ", 0, 1e6),
    FIELD(action_picojoules, "pJ", 0, 1e6),
    FIELD(scalar_call_picojoules, "pJ", 0, 1e6),
    FIELD(idle_power_share, "of power_watts", 0, 1),

    FIELD(chip_cores, "cores", 1, 1 << 24),
    WORD(published_kernels, "schedule", "fixed-routes", "rewritten-routes"),
    WORD(measured_rows, "chip", "WSE-2", "WSE-3", "none"),
};
#undef FIELD
#undef WORD

// Fields that nothing reads but the checks of a file: no cycles, bytes, limits or energy depend on them. time() has no queues and converts
// no types as a step of its own; ids of colours are only compared with routable_colours.
constexpr std::string_view kNotUsed[] = {
    "routable_colours",
    "router_queue_wavelets",
    "input_queue_wavelets",
    "output_queue_wavelets",
    "add_mixed_elements_per_cycle",
    "convert_f16_to_f32_elements_per_cycle",
    "convert_f32_to_f16_elements_per_cycle",
    "convert_i16_to_f16_elements_per_cycle",
    "convert_i16_to_f32_elements_per_cycle",
};

constexpr size_t kMaxListLength = 64;
constexpr size_t kMaxFileBytes = 1 << 20;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

bool is_number(const Field& field) { return std::holds_alternative<Integer>(field.member) || std::holds_alternative<Real>(field.member); }

std::string number(double value) { return fmt::format("{:.12g}", value); }

// "devices/wse2.toml:mesh_width (line 12)"
std::string place(const std::string& file, std::string_view key, const toml::node& node) {
  return fmt::format("{}:{} (line {})", file, key, node.source().begin.line);
}

std::string kind(const toml::node& node) {
  std::ostringstream s;
  s << node.type();
  return "a value of type " + s.str();
}

std::string shape_of(const Field& field) {
  const char* value = std::holds_alternative<List>(field.member) ? "[...]" : std::holds_alternative<Word>(field.member) ? "\"...\"" : "...";
  return fmt::format(R"({} = {{ value = {}, unit = "{}", source = "..." }})", field.name, value, field.unit);
}

void check_limits(const Field& field, double value, const std::string& where) {
  if (value >= field.min && value <= field.max) return;  // false for NaN
  throw Error({.where = where,
               .found = number(value),
               .expected = fmt::format("{} to {} {}", number(field.min), number(field.max), field.unit),
               .fix = "correct the value"});
}

int64_t read_integer(const Field& field, const toml::node& node, const std::string& where) {
  if (!node.is_integer()) throw Error({.where = where, .found = kind(node), .expected = "an integer", .fix = "correct the value"});
  const int64_t value = node.as_integer()->get();
  check_limits(field, static_cast<double>(value), where);
  return value;
}

std::vector<int64_t> read_list(const Field& field, const toml::node& node, const std::string& where) {
  const toml::array* array = node.as_array();
  if (!array) throw Error({.where = where, .found = kind(node), .expected = "a list of integers", .fix = "correct the value"});
  if (array->empty() || array->size() > kMaxListLength) {
    throw Error({.where = where,
                 .found = fmt::format("a list of {}", array->size()),
                 .expected = fmt::format("1 to {} elements", kMaxListLength),
                 .fix = "correct the list"});
  }
  std::vector<int64_t> list;
  for (const toml::node& element : *array) list.push_back(read_integer(field, element, where));
  return list;
}

double read_real(const Field& field, const toml::node& node, const std::string& where) {
  if (!node.is_number()) throw Error({.where = where, .found = kind(node), .expected = "a number", .fix = "correct the value"});
  const double value = *node.value<double>();
  check_limits(field, value, where);
  return value;
}

std::string read_word(const Field& field, const toml::node& node, const std::string& where) {
  const std::string found = node.is_string() ? node.as_string()->get() : "";
  std::vector<std::string> known;
  for (const std::string_view word : field.words) {
    if (word.empty()) continue;
    if (node.is_string() && found == word) return found;
    known.push_back(fmt::format("\"{}\"", word));
  }
  throw Error({.where = where,
               .found = node.is_string() ? fmt::format("\"{}\"", found) : kind(node),
               .expected = fmt::format("{}", fmt::join(known, " or ")),
               .fix = "correct the value"});
}

// The string under `key` of a field's table; every value must have its unit and its source.
std::string read_string(const toml::table& table, std::string_view key, const Field& field, const std::string& where) {
  const toml::node* node = table.get(key);
  if (!node) throw Error({.where = where, .found = fmt::format("no {}", key), .expected = shape_of(field), .fix = "add it"});
  if (!node->is_string() || node->as_string()->get().empty()) {
    throw Error({.where = where,
                 .found = node->is_string() ? fmt::format("an empty {}", key) : fmt::format("{} with {}", key, kind(*node)),
                 .expected = key == "source" ? "a text that says where the number is from, or \"assumed\"" : shape_of(field),
                 .fix = fmt::format("give the {}", key)});
  }
  return node->as_string()->get();
}

// Reads one field into the device; returns its source.
std::string read_field(const Field& field, const toml::table& root, const std::string& file, Device& device) {
  const toml::node* node = root.get(field.name);
  if (!node) throw Error({.where = file, .found = fmt::format("no key {}", field.name), .expected = shape_of(field), .fix = "add it"});
  const std::string where = place(file, field.name, *node);
  const toml::table* table = node->as_table();
  if (!table) throw Error({.where = where, .found = kind(*node), .expected = shape_of(field), .fix = "give value, unit and source"});
  for (const auto& [key, value] : *table) {
    if (key == "value" || key == "unit" || key == "source") continue;
    throw Error({.where = place(file, field.name, value),
                 .found = fmt::format("the key {}", key.str()),
                 .expected = "value, unit and source alone",
                 .fix = "remove it"});
  }
  const toml::node* value = table->get("value");
  if (!value) throw Error({.where = where, .found = "no value", .expected = shape_of(field), .fix = "add it"});
  const std::string unit = read_string(*table, "unit", field, where);
  if (unit != field.unit) {
    throw Error({.where = where,
                 .found = fmt::format("unit \"{}\"", unit),
                 .expected = fmt::format("unit \"{}\"", field.unit),
                 .fix = "convert the value, then correct the unit"});
  }
  const std::string source = read_string(*table, "source", field, where);
  std::visit(
      Overloaded{[&](Integer m) { device.*m = read_integer(field, *value, where); },
                 [&](Real m) { device.*m = read_real(field, *value, where); }, [&](List m) { device.*m = read_list(field, *value, where); },
                 [&](Word m) { device.*m = read_word(field, *value, where); }},
      field.member);
  return source;
}

// Rules between fields. `where` is the file or the option that was read last.
void check_together(const Device& d, const std::string& where) {
  const auto below_sram = [&](std::string_view key, int64_t bytes) {
    if (bytes < d.sram_bytes_per_core) return;
    throw Error({.where = where,
                 .found = fmt::format("{} = {}", key, bytes),
                 .expected = fmt::format("less than sram_bytes_per_core = {}", d.sram_bytes_per_core),
                 .fix = "leave room for data"});
  };
  below_sram("code_and_system_bytes", d.code_and_system_bytes);
  below_sram("code_and_system_bytes_measured", d.code_and_system_bytes_measured);
  // Clocks count words by shifts.
  const auto power_of_two = [&](std::string_view key, int64_t value) {
    if ((value & (value - 1)) == 0) return;
    throw Error({.where = where, .found = fmt::format("{} = {}", key, value), .expected = "a power of two", .fix = "correct the value"});
  };
  power_of_two("wavelet_bits", d.wavelet_bits);
  power_of_two("wavelets_per_cycle_per_link", d.wavelets_per_cycle_per_link);
  power_of_two("wavelets_per_cycle_per_ramp", d.wavelets_per_cycle_per_ramp);
  std::set<int64_t> seen;
  for (const int64_t colour : d.free_colours) {
    if (colour < d.routable_colours && seen.insert(colour).second) continue;
    throw Error({.where = where,
                 .found = fmt::format("colour {}{} in free_colours", colour, seen.count(colour) ? " twice" : ""),
                 .expected = fmt::format("different ids below routable_colours = {}", d.routable_colours),
                 .fix = "correct the list"});
  }
}

std::string value_text(const Device& device, const Field& field) {
  return std::visit(Overloaded{[&](Integer m) { return fmt::format("{}", device.*m); }, [&](Real m) { return number(device.*m); },
                               [&](List m) { return fmt::format("{}", fmt::join(device.*m, " ")); }, [&](Word m) { return device.*m; }},
                    field.member);
}

std::string read_file(const fs::path& path) {
  std::error_code ec;
  const fs::file_type type = fs::status(path, ec).type();
  const bool regular = type == fs::file_type::regular;
  std::ifstream in(path, std::ios::binary);
  if (!regular || !in) {
    throw Error({.where = path.string(),
                 .found = regular                            ? "a file that cannot be read"
                          : type == fs::file_type::directory ? "a directory"
                          : type == fs::file_type::not_found ? "no such file"
                                                             : "no regular file",
                 .expected = "a device file",
                 .fix = fmt::format("name one of: {}", fmt::join(list_devices(), ", "))});
  }
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMaxFileBytes) {
    throw Error({.where = path.string(),
                 .found = "a large file",
                 .expected = fmt::format("a device file of at most {} bytes", kMaxFileBytes),
                 .fix = "name a device file"});
  }
  return text;
}

}  // namespace

Device parse_device(std::string_view toml, const std::string& name, const std::string& file) {
  toml::table root;
  try {
    root = toml::parse(toml, std::string_view(file));
  } catch (const toml::parse_error& e) {
    throw Error({.where = fmt::format("{}:{}:{}", file, e.source().begin.line, e.source().begin.column),
                 .found = std::string(e.description()),
                 .expected = "TOML",
                 .fix = "correct the line"});
  }
  for (const auto& [key, node] : root) {
    if (key == "description" || std::any_of(std::begin(kFields), std::end(kFields), [&](const Field& f) { return f.name == key.str(); }))
      continue;
    throw Error({.where = place(file, key.str(), node),
                 .found = "an unknown key",
                 .expected = "the keys of devices/wse2.toml",
                 .fix = "correct or remove it"});
  }
  Device device{.name = name, .file = file};
  const toml::node* description = root.get("description");
  if (!description || !description->is_string()) {
    throw Error({.where = file, .found = "no description", .expected = "description = \"...\", one line", .fix = "add it"});
  }
  device.description = description->as_string()->get();
  for (const Field& field : kFields) device.sources.push_back(read_field(field, root, file, device));
  check_together(device, file);
  return device;
}

std::vector<std::string> device_folders() { return data_folders("devices", "WAFERLLM_DEVICES"); }

std::vector<std::string> list_devices() {
  std::set<std::string> names;
  for (const std::string& folder : device_folders()) {
    std::error_code ec;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ec)) {
      if (entry.path().extension() == ".toml") names.insert(entry.path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

Device load_device(const std::string& name_or_path) {
  const bool is_path = name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".toml");
  if (is_path) return parse_device(read_file(name_or_path), fs::path(name_or_path).stem().string(), name_or_path);
  for (const std::string& folder : device_folders()) {
    const fs::path path = fs::path(folder) / (name_or_path + ".toml");
    std::error_code ec;
    if (fs::is_regular_file(path, ec)) return parse_device(read_file(path), name_or_path, path.string());
  }
  const std::vector<std::string> known = list_devices();
  throw Error({.where = "device",
               .found = fmt::format("\"{}\"", name_or_path),
               .expected = known.empty() ? "a path: no folder of devices was found" : fmt::format("one of: {}", fmt::join(known, ", ")),
               .fix = "name one of them, or give the path of a .toml file"});
}

std::vector<DeviceRow> device_rows(const Device& device) {
  std::vector<DeviceRow> rows;
  for (size_t i = 0; i < std::size(kFields); i++) {
    const Field& field = kFields[i];
    const std::string source = i < device.sources.size() ? device.sources[i] : "not given";
    rows.push_back({.name = std::string(field.name),
                    .value = value_text(device, field),
                    .unit = std::string(field.unit),
                    .source = source,
                    .assumed = source.starts_with("assumed"),
                    .used = std::find(std::begin(kNotUsed), std::end(kNotUsed), field.name) == std::end(kNotUsed)});
  }
  return rows;
}

double device_field(const Device& device, std::string_view name) {
  const Field* field = std::find_if(std::begin(kFields), std::end(kFields), [&](const Field& f) { return f.name == name; });
  CHECK(field != std::end(kFields) && is_number(*field), "no number {}", name);
  if (const Integer* m = std::get_if<Integer>(&field->member)) return static_cast<double>(device.*(*m));
  return device.*(std::get<Real>(field->member));
}

void set_device_field(Device& device, std::string_view name, double value, const std::string& where) {
  const Field* field = std::find_if(std::begin(kFields), std::end(kFields), [&](const Field& f) { return f.name == name; });
  CHECK(field != std::end(kFields) && is_number(*field), "no number {}", name);
  check_limits(*field, value, where);
  Device changed = device;
  if (const Integer* m = std::get_if<Integer>(&field->member)) {
    if (value != std::floor(value)) throw Error({.where = where, .found = number(value), .expected = "an integer", .fix = "round it"});
    changed.*(*m) = static_cast<int64_t>(value);
  } else {
    changed.*(std::get<Real>(field->member)) = value;
  }
  changed.sources.resize(std::size(kFields), "not given");
  changed.sources[static_cast<size_t>(field - std::begin(kFields))] = where;
  check_together(changed, where);
  device = std::move(changed);
}

}  // namespace wafer
