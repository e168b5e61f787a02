// Figures that pages state, against the code or the command that makes them.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "device/device.h"
#include "mesh/bytes.h"
#include "mesh/verify.h"
#include "model/config.h"
#include "model/model.h"
#include "report/bench_report.h"
#include "support/command.h"
#include "support/source_tree.h"

namespace wafer {
namespace {

std::string with_masked_digits(const std::string& text) { return std::regex_replace(text, std::regex("[0-9][0-9.,]*"), "#"); }

// The lines of a block that are not blank.
std::vector<std::string> full_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// What `make run` prints. From `host` on it is about the machine: there the words are compared, not the figures.
TEST(FiguresOfPages, TheReadmesReportIsWhatRunPrints) {
  const std::string section = section_of(project_file("README.md"), "## The report, line by line");
  const CommandResult r = run_program({WAFER_BINARY, "run", "-m", std::string(WAFER_SOURCE_DIR) + "/models/stories-tiny.gguf", "--device",
                                       "wse2", "-n", "200", "-p", "Once upon a time"});
  ASSERT_EQ(r.status, 0) << r.err;
  std::vector<std::string> page = full_lines(indented_blocks(section).at(0)), printed = full_lines(r.err);
  ASSERT_EQ(page.size(), printed.size());
  bool host = false;
  for (size_t i = 0; i < page.size(); i++) {
    host = host || page[i].starts_with("host");
    if (!host) {
      EXPECT_EQ(page[i], printed[i]);
    } else if (!page[i].starts_with("host")) {  // that line names the instruction set too
      EXPECT_EQ(with_masked_digits(page[i]), with_masked_digits(printed[i]));
    }
  }
  EXPECT_TRUE(host);
}

// The value of a constant as its source writes it: `name = 33;` or `name = 1.2,`.
std::string constant_in(const std::string& file, const std::string& name) {
  std::smatch found;
  const std::string text = project_file(file);
  return std::regex_search(text, found, std::regex("\\b" + name + " = ([0-9.]+)[;,]")) ? found[1].str()
                                                                                       : "(no " + name + " in " + file + ")";
}

// Sentences with a figure in them: the page must have the sentence with the constant in the place of each {}.
struct Sentence {
  const char* page;
  const char* text;
  const char* file;
  std::vector<const char*> constants;
};
TEST(FiguresOfPages, SentencesHaveTheConstantsOfTheCode) {
  const std::vector<Sentence> sentences = {
      {"README.md", "Of more than {} equal chunks {} are timed", "src/time/request.h", {"kPrefillChunks", "kPrefillChunks"}},
      {"README.md",
       "Up to {} positions all are timed; of more, {} evenly spaced",
       "src/time/request.h",
       {"kDecodeShort", "kDecodePositions"}},
      {"README.md", "at {} others, drawn at random, the exact cycles are compared", "src/report/chip_time.h", {"kPositionsChecked"}},
      {"README.md", "a plan was found that takes at least {} times less", "src/search/search.h", {"kFaster"}},
      {"README.md", "make prefill at least {} times slower than longer ones", "src/search/search.h", {"kMuchSlower"}},
      {"docs/cost-model.md", "Of more than {} equal full chunks, {} are timed", "src/time/request.h", {"kPrefillChunks", "kPrefillChunks"}},
      {"docs/cost-model.md",
       "Of more than {} positions of decode, {} are timed",
       "src/time/request.h",
       {"kDecodeShort", "kDecodePositions"}},
      {"docs/cost-model.md", "At {} positions drawn at random", "src/report/chip_time.h", {"kPositionsChecked"}},
      {"docs/cost-model.md", "so they are stopped once {} of them leave the pattern", "src/time/clocks_products.cc", {"kTurn"}},
      {"docs/cost-model.md", "A search times the first {} steps of each product", "src/search/search.cc", {"kRingSteps"}},
      {"docs/design.md", "From {} times on a line names the options", "src/search/search.h", {"kFaster"}},
      {"docs/design.md", "while it is longer than {})", "src/plan/planner.cc", {"kShortestChunk"}},
      {"docs/design.md", "(`run`: those asked for; `plan`: {} tokens,", "src/search/search.cc", {"kGenerated"}},
      {"docs/design.md", "on sides above {} with the first {} steps", "src/search/search.cc", {"kLargeSide", "kRingSteps"}},
      {"docs/design.md", "at most {} trials each", "src/search/search.cc", {"kTrials"}},
      {"docs/design.md", "that fit among at most {} trials", "src/search/search.cc", {"kLookedTrials"}},
      {"docs/design.md", "weights lie in panels of {} outputs", "src/run/panel.h", {"kPanelLanes"}},
      {"docs/design.md", "a piece is the part of a block of {} inputs", "src/run/panel.h", {"kQuantBlock"}},
  };
  for (const Sentence& s : sentences) {
    std::string expected = s.text;
    for (const char* name : s.constants) expected.replace(expected.find("{}"), 2, constant_in(s.file, name));
    EXPECT_NE(on_one_line(project_file(s.page)).find(expected), std::string::npos) << s.page << " does not say: " << expected;
  }
  const auto says = [](const char* page, const std::string& expected) {
    EXPECT_NE(on_one_line(project_file(page)).find(expected), std::string::npos) << page << " does not say: " << expected;
  };
  const Device d = load_device("wse2");
  says("README.md", fmt::format("in place of the assumed {},{:03}", d.code_and_system_bytes / 1000, d.code_and_system_bytes % 1000));
  says("docs/design.md",
       fmt::format("that the {},{:03} bytes assumed for code", d.code_and_system_bytes / 1000, d.code_and_system_bytes % 1000));
  says("README.md", fmt::format("each with {} KB of its own SRAM", d.sram_bytes_per_core / 1024));
  says("docs/adding-a-kernel.md", fmt::format("a phase has {} on the WSE-2", d.free_colours.size()));
}

// `field` N in a sentence, | `field` | N | in a table: the value of a device, WSE-3's where the clause says so.
TEST(FiguresOfPages, ConstantsOfDevicesAreTheDevices) {
  const Device wse2 = load_device("wse2"), wse3 = load_device("wse3");
  const std::regex figure("`([a-z_0-9]+)`(?: \\| | )([0-9]+(?:[.][0-9]+)?)\\b");
  int seen = 0;
  for (const std::string& page : page_names()) {
    const std::string text = project_file(page);
    for (std::sregex_iterator i(text.begin(), text.end(), figure), end; i != end; ++i) {
      const std::string name = (*i)[1];
      const std::vector<DeviceRow> rows = device_rows(wse2);
      if (std::none_of(rows.begin(), rows.end(), [&](const DeviceRow& row) { return row.name == name; })) continue;
      const size_t begin = text.find_last_of(";|\n", static_cast<size_t>(i->position()));
      const bool of_wse3 = text.substr(begin, static_cast<size_t>(i->position()) - begin).find("wse3") != std::string::npos;
      EXPECT_EQ(std::stod((*i)[2]), device_field(of_wse3 ? wse3 : wse2, name)) << page << ": " << (*i)[0];
      seen++;
    }
  }
  EXPECT_GE(seen, 20);
}

TEST(FiguresOfPages, TheBundledCheckpointIsAsItsCardSays) {
  const std::string page = on_one_line(project_file("models/README.md")),
                    file = std::string(WAFER_SOURCE_DIR) + "/models/stories-tiny.gguf";
  const ModelConfig c = load_config(file);
  const std::string sum = run_program({"/usr/bin/sha256sum", file}).out;
  ASSERT_GT(sum.size(), 64u);
  for (const std::string& part : {sum.substr(0, 64), mesh::with_commas(static_cast<int64_t>(read_file(file).size())) + " bytes: GGUF",
                                  fmt::format("{} layers, width {}, {} heads and {} KV heads of {}, feed-forward {}, context {}", c.layers,
                                              c.dim, c.heads, c.kv_heads, c.head_dim, c.ffn, c.context)})
    EXPECT_NE(page.find(part), std::string::npos) << part;
}

// The rules of verify() and the formulas of local steps are lists of the code: each has its row, and no row is of another.
TEST(FiguresOfPages, ListsOfTheDesignAreThoseOfTheCode) {
  const std::string page = project_file("docs/design.md");
  std::set<std::string> rules, told_rules, operations, told_operations;
  for (int r = 0; r < mesh::kRules; r++) rules.insert(mesh::name(static_cast<mesh::Rule>(r)));
  for (const std::vector<std::string>& row : table_rows(section_of(page, "## verify()"))) told_rules.insert(row[0]);
  EXPECT_EQ(told_rules, rules);
  const std::string source = project_file("src/mesh/program.h"), begin = "enum class LocalOp : uint8_t {\n";
  const size_t from = source.find(begin) + begin.size();
  const std::string body = source.substr(from, source.find("};", from) - from);
  const std::regex entry("(?:^|\n)  ([a-z_]+)");
  for (std::sregex_iterator i(body.begin(), body.end(), entry), end; i != end; ++i) operations.insert((*i)[1]);
  EXPECT_EQ(operations.erase("clear"), 1u) << "it has no formula";
  const std::string numerics = section_of(page, "## Numerics");
  for (const std::vector<std::string>& row : table_rows(numerics.substr(numerics.find("**Local steps**")))) told_operations.insert(row[0]);
  EXPECT_EQ(told_operations, operations);
}

TEST(FiguresOfPages, RolesAreAsTheDesignSays) {
  const CommandResult r =
      run_program({WAFER_BINARY, "plan", "-m", std::string(WAFER_SOURCE_DIR) + "/models/llama3-8b.toml", "--mesh", "718x718", "--no-time"});
  std::smatch found;
  ASSERT_TRUE(std::regex_search(r.out, found, std::regex("code +([0-9,]+) bytes at most in ([0-9]+) roles, system ([0-9,]+),")))
      << r.out << r.err;
  const auto kilobytes = [](std::string text) {
    std::erase(text, ',');
    return std::stod(text) / 1000;
  };
  const std::string page = on_one_line(project_file("docs/design.md"));
  for (const std::string& part :
       {fmt::format("LLaMA3-8B on 718 x 718 cores has {} roles", found[2].str()),
        fmt::format("too little: {:.1f} KB of code and {:.1f} of system", kilobytes(found[1]), kilobytes(found[3]))})
    EXPECT_NE(page.find(part), std::string::npos) << part;
}

// ---- docs/cost-model.md: what each constant weighs ----------------------------------------------------------------------------------

double layer_cycles(BenchSetup& setup, const Device& device, bool decode) {
  setup.device = device;
  return (decode ? bench_decode(setup) : bench_prefill(setup, setup.plan.plan.max_prompt)).layer.cycles;
}

// "-12.7 %, +12.7 %" of a table's cell; "none" in a cell is no change.
std::vector<std::string> changes_in(const std::string& cell) {
  static const std::regex change("([+-][0-9.]+) %");
  std::vector<std::string> found;
  for (std::sregex_iterator i(cell.begin(), cell.end(), change), end; i != end; ++i) found.push_back((*i)[1]);
  return found;
}

// tools/weigh_constants.py makes the table by the command line. Prefill takes longer, so there only constants that weigh much are raised.
TEST(FiguresOfPages, WhatEachConstantWeighsIsAsThePageSays) {
  const ModelConfig model = load_shape(std::string(WAFER_SOURCE_DIR) + "/models/llama3-8b.toml");
  const Device wse2 = load_device("wse2");
  const WeightTypes types = uniform_types(TensorType::f16);
  BenchSetup decode = bench_setup(model, types, wse2, {.context = 4096, .decode_mesh = mesh::Extent{360, 360}}, "decode");
  BenchSetup prefill =
      bench_setup(model, types, wse2, {.context = 4096, .max_prompt = 4096, .prefill_mesh = mesh::Extent{660, 660}}, "prefill");
  const double decode_before = layer_cycles(decode, wse2, true), prefill_before = layer_cycles(prefill, wse2, false);
  int rows = 0;
  for (const std::vector<std::string>& row : table_rows(project_file("docs/cost-model.md"))) {
    if (row.size() != 5 || (row[2] != "assumed" && row[2] != "calibrated")) continue;
    rows++;
    const std::string name = row[0].substr(1, row[0].size() - 2);
    const double value = device_field(wse2, name);
    for (const DeviceRow& field : device_rows(wse2)) {
      if (field.name != name) continue;
      EXPECT_TRUE(field.source.starts_with(row[2])) << name << ": " << field.source;
    }
    for (const bool of_decode : {true, false}) {
      const std::vector<std::string> told = changes_in(row[of_decode ? 3 : 4]);
      ASSERT_TRUE(told.size() == 2 || row[of_decode ? 3 : 4].starts_with("none")) << name;
      for (const bool raised : {false, true}) {
        if (!of_decode && (!raised || told.empty() || std::fabs(std::stod(told[1])) < 10)) continue;
        const double changed = value * (raised ? 1.5 : 0.5);
        Device device = wse2;
        set_device_field(device, name, value == std::floor(value) ? std::floor(changed + 0.5) : changed, "the test");
        const double change =
            of_decode ? layer_cycles(decode, device, true) / decode_before : layer_cycles(prefill, device, false) / prefill_before;
        const double percent = 100 * (change - 1), page = told.empty() ? 0 : std::stod(told[raised]);
        EXPECT_NEAR(percent, page, 0.0501) << name << (of_decode ? " decode" : " prefill") << (raised ? " raised" : " halved");
      }
    }
  }
  EXPECT_EQ(rows, 11);
}

// ---- docs/paper.md -----------------------------------------------------------------------------------------------------------------

// The rows below the headings that begin with `title`.
std::vector<std::vector<std::string>> rows_below(const std::string& page, const std::string& title) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& line : full_lines(page)) {
    if (!line.starts_with("## " + title)) continue;
    for (std::vector<std::string>& row : table_rows(section_of(page, line))) rows.push_back(std::move(row));
  }
  return rows;
}

void expect_rows_of(const std::string& tables, const std::vector<std::string>& titles) {
  const CommandResult r = run_program({WAFER_BINARY, "bench", "paper", "--markdown", "--tables", tables});
  ASSERT_EQ(r.status, 0) << r.err;
  const std::string page = project_file("docs/paper.md");
  for (const std::string& title : titles) {
    const std::vector<std::vector<std::string>> printed = rows_below(r.out, title);
    EXPECT_GT(printed.size(), 5u) << title;
    EXPECT_EQ(rows_below(page, title), printed) << title;
  }
}

TEST(FiguresOfPages, PrefillTablesOfThePaperAreWhatBenchPaperPrints) { expect_rows_of("3,7", {"Table 3", "Table 7"}); }

TEST(FiguresOfPages, ShortTablesOfThePaperAreWhatBenchPaperPrints) {
  expect_rows_of("4,5,6,8,figure 10,WSE-3 layer", {"Table 4", "Table 5", "Table 6", "Table 8", "Figure 10", "A decode layer"});
}

// Table 2 and figure 9 take as long as all the others together: some rows of them, by the benches of one request and of one product.
TEST(FiguresOfPages, RowsOfTheLongTablesAreWhatBenchesPrint) {
  const std::string page = project_file("docs/paper.md");
  const auto expect_row = [&](const std::string& title, const std::vector<std::string>& begin, std::vector<std::string> words) {
    words.insert(words.begin(), {WAFER_BINARY, "bench"});
    words.push_back("--json");
    const CommandResult r = run_program(words);
    ASSERT_EQ(r.status, 0) << r.err;
    const std::string cycles = mesh::with_commas(nlohmann::json::parse(r.out)["cycles"].get<int64_t>());
    bool found = false;
    for (const std::vector<std::string>& row : rows_below(page, title)) {
      if (row.size() < 5 || !std::equal(begin.begin(), begin.end(), row.begin())) continue;
      if (row[4].empty()) continue;  // another metric of the same row
      found = true;
      EXPECT_EQ(row[4], cycles) << title << ", " << fmt::format("{}", fmt::join(begin, " "));
    }
    EXPECT_TRUE(found) << title << ", " << fmt::format("{}", fmt::join(begin, " "));
  };
  expect_row("Table 2", {"LLaMA3-8B", "WaferLLM", "WSE-2", "in2048/out128"},
             {"e2e", "-m", std::string(WAFER_SOURCE_DIR) + "/models/llama3-8b.toml", "--plan", "published", "--prefill-mesh", "660x660",
              "--decode-mesh", "360x360", "--input", "2048", "--output", "128"});
  const std::pair<const char*, const char*> algorithms[] = {
      {"MeshGEMM", "meshgemm"}, {"Cannon", "cannon"}, {"SUMMA", "summa"}, {"allgather", "allgather"}};
  for (const auto& [method, algorithm] : algorithms)
    expect_row("Figure 9", {"GEMM 2K", method, "WSE-2", "360x360"},
               {"gemm", "--m", "2048", "--k", "2048", "--n", "2048", "--mesh", "360x360", "--numerics", "fp16", "--algorithm", algorithm});
}

}  // namespace
}  // namespace wafer
