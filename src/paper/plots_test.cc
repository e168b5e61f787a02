#include "paper/plots.h"

#include <gtest/gtest.h>

#include <cmath>

namespace wafer {
namespace {

PaperRow row(const std::string& table, const std::string& model, const std::string& method, int side, const std::string& metric,
             double ours, std::optional<double> paper = std::nullopt) {
  return {.table = table,
          .model = model,
          .method = method,
          .device = "WSE-2",
          .config = std::to_string(side) + "x" + std::to_string(side),
          .metric = metric,
          .paper = paper,
          .ours = ours};
}
PaperRow decode(const std::string& model, const std::string& method, int side, double ours, std::optional<double> paper = std::nullopt) {
  return row("4", model, method, side, "decode tok/s", ours, paper);
}
std::vector<Plot> plots(std::vector<PaperRow> rows) { return paper_plots({.device = {}, .rows = std::move(rows)}); }
std::string script(std::vector<PaperRow> rows) {
  const std::vector<Plot> all = plots(std::move(rows));
  EXPECT_EQ(all.size(), 1u);
  return all.empty() ? "" : all[0].script;
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) n++;
  return n;
}

TEST(Plots, NumbersStandInTheScript) {
  const std::string s = script({decode("A", "WaferLLM", 540, 2501.5, 2400), decode("A", "WaferLLM", 420, 2710.25, 2699.9)});
  EXPECT_TRUE(has(s, "$ours_0_0 << END\n420 2710.25\n540 2501.5\nEND\n")) << s;
  EXPECT_TRUE(has(s, "$paper_0_0 << END\n420 2699.9\n540 2400\nEND\n")) << s;
  EXPECT_TRUE(has(s, "set xtics (420, 540)\n")) << s;
  EXPECT_TRUE(has(s, "set label 'WaferLLM' at screen")) << s;
  EXPECT_TRUE(has(s, "set label 'hollow: the paper''s number'")) << s;
  EXPECT_TRUE(has(s, "WSE-2")) << s;
}

TEST(Plots, WithoutAPapersNumberThereIsNoHollowMarker) {
  const std::string some = script({decode("A", "WaferLLM", 420, 2700, 2699.9), decode("A", "WaferLLM", 540, 2500)});
  EXPECT_TRUE(has(some, "$paper_0_0 << END\n420 2699.9\nEND\n")) << some;
  const std::string none = script({decode("A", "WaferLLM", 420, 2700)});
  EXPECT_FALSE(has(none, "$paper")) << none;
  EXPECT_FALSE(has(none, "hollow")) << none;
}

TEST(Plots, NamesAreTextAndNothingElse) {
  const std::string s = script({decode("it's `date` $(id)\nunset key", "@m \"q\" \\", 420, 1)});
  EXPECT_TRUE(has(s, "set title 'it''s `date` $(id)\\nunset key' offset")) << s;
  EXPECT_TRUE(has(s, "set label '@m \"q\" \\' at")) << s;
  EXPECT_TRUE(has(s, " noenhanced\n")) << s;
}

TEST(Plots, OneFileForEachTableThatHasRows) {
  EXPECT_TRUE(plots({}).empty());
  EXPECT_TRUE(plots({row("5", "A", "shift", 420, "tokens", 1)}).empty());
  const auto all =
      plots({row("figure 10", "GEMV 2K", "MeshGEMV", 240, "cycles", 900), row("3", "A", "T10", 480, "prefill tok/s at 4096", 1),
             row("figure 9", "GEMM 2K", "Cannon", 360, "cycles", 1e5), decode("A", "T10", 420, 3)});
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].file, "table3.svg");
  EXPECT_EQ(all[1].file, "table4.svg");
  EXPECT_EQ(all[2].file, "figure9.svg");
  EXPECT_EQ(all[3].file, "figure10.svg");
}

TEST(Plots, RowsThatCannotBeDrawnAreLeftOut) {
  PaperRow oblong = decode("A", "T10", 420, 77);
  std::vector<PaperRow> bad;
  for (const char* config : {"420x540", "", "420", "420x", "x420", "420x420 ", "-4x-4", "0x0", "99999999999x99999999999"}) {
    oblong.config = config;
    bad.push_back(oblong);
  }
  for (double v : {0.0, -1.0, std::nan(""), HUGE_VAL}) bad.push_back(decode("A", "T10", 420, v));
  bad.push_back(row("4", "A", "T10", 420, "cycles of something else", 77));
  EXPECT_TRUE(plots(bad).empty());
  bad.push_back(decode("A", "T10", 540, 88, NAN));
  const std::string s = script(bad);
  EXPECT_TRUE(has(s, "$ours_0_0 << END\n540 88\nEND\n")) << s;
  EXPECT_FALSE(has(s, "$paper")) << s;
}

TEST(Plots, AWideSpreadAsksForALogarithmicAxis) {
  EXPECT_FALSE(has(script({decode("A", "X", 420, 100), decode("A", "Y", 420, 900)}), "\nset logscale y"));
  EXPECT_TRUE(has(script({decode("A", "X", 420, 100), decode("A", "Y", 420, 1000)}), "\nset logscale y"));
  // Tables compare models, so all panels have one range; problems of a figure differ in size by design.
  const std::string table = script({decode("A", "X", 420, 100), decode("B", "X", 420, 5000)});
  EXPECT_EQ(count(table, "set yrange [76.9"), 2) << table;
  const std::string figure =
      script({row("figure 10", "GEMV 2K", "X", 240, "cycles", 100), row("figure 10", "GEMV 4K", "X", 240, "cycles", 5000)});
  EXPECT_FALSE(has(figure, "\nset logscale y")) << figure;
  EXPECT_TRUE(has(figure, "'100' 100")) << figure;
  EXPECT_TRUE(has(figure, "'5k' 5000")) << figure;
}

TEST(Plots, SharesHavePanelsOfTheirOwn) {
  const std::string s =
      script({row("figure 9", "GEMM 2K", "Cannon", 360, "cycles", 1e5), row("figure 9", "GEMM 2K", "Cannon", 360, "compute share", 0.6),
              row("figure 9", "GEMM 2K", "Cannon", 360, "communicate share", 0.4)});
  EXPECT_EQ(count(s, "set title 'GEMM 2K'"), 2) << s;
  EXPECT_TRUE(has(s, "360 40\n")) << s;
  EXPECT_TRUE(has(s, "set ylabel 'communication and waiting, %' offset")) << s;
}

}  // namespace
}  // namespace wafer
