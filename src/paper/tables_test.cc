// The rows that constants are fitted on stay within the bars that the project sets itself; all other rows are there, without a number
// beside them.
#include "paper/tables.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "paper/paper_models.h"
#include "paper/published_time.h"

namespace wafer {
namespace {

PaperTables tables(const std::vector<std::string>& only, const char* device = "wse2") {
  return paper_tables(load_device(device), only, [](const std::string&, double) {});
}

// How far a row of this table may be off that constants are fitted on.
double bar(const PaperRow& r) {
  if (r.method == "T10" || r.method == "Ladder") return 0.25;
  if (r.table == "2") return 0.10;
  if (r.table == "3") return 0.03;
  if (r.table == "4") return 0.02;
  return 0.15;
}

TEST(PaperTables, FittedRowsAreWithinTheirBars) {
  int fitted = 0;
  for (const PaperRow& r : tables({"4", "5", "6", "8", "WSE-3 layer"}).rows) {
    ASSERT_TRUE(std::isfinite(r.ours)) << r.table << r.model << r.method;
    if (r.use != RowUse::calibration) continue;
    fitted++;
    EXPECT_LE(std::abs(*error_of(r)), bar(r)) << "table " << r.table << ", " << r.model << ", " << r.method << ", " << r.config;
  }
  EXPECT_EQ(fitted, 9 + 2 + 2 + 1 + 1);
}

TEST(PaperTables, ARequestIsWithinTenPercent) {
  const Device d = load_device("wse2");
  PublishedLayers layers{.device = d};
  const PublishedRequest r = paper_request("LLaMA3-8B", "in2048/out128");
  const double rate = tokens_per_second(r, published_request(paper_model("LLaMA3-8B"), r, layers), d);
  EXPECT_LE(std::abs(rate / 764.4 - 1), 0.10) << rate;
}

TEST(PaperTables, TheWholeMeasuredLayerOfAWse3) {
  for (const PaperRow& r : tables({"WSE-3 layer"}).rows) {
    if (r.paper) {
      EXPECT_LE(std::abs(*error_of(r)), 0.15) << r.method;
    } else {
      EXPECT_NE(r.config, "240x240");
    }
  }
}

TEST(PaperTables, EveryModelHasItsRows) {
  std::set<std::string> rows;
  for (const PaperRow& r : tables({"4"}).rows) rows.insert(r.model + " " + r.method + " " + r.config);
  EXPECT_EQ(rows.size(), 4u * 3 * 3);
  for (const char* model : {"LLaMA3-8B", "LLaMA2-13B", "CodeLLaMA-34B", "QWen2-72B"})
    EXPECT_TRUE(rows.contains(std::string(model) + " Ladder 540x540")) << model;
}

TEST(PaperTables, OtherDevicesHaveNoNumberOfThePaperBesideThem) {
  const PaperTables t = tables({"4"}, "wse3");
  EXPECT_EQ(t.rows.size(), 4u * 3 * 3);
  for (const PaperRow& r : t.rows) {
    EXPECT_EQ(r.device, "WSE-3");
    EXPECT_FALSE(r.paper.has_value());
    EXPECT_GT(r.cycles, 0);
  }
}

// Not even a device that calls itself as the paper's chip.
TEST(PaperTables, NumbersOfThePaperStandBesideTheDeviceWhoseFieldSaysSo) {
  Device d = load_device("wse2");
  const auto fitted = [&] {
    int n = 0;
    for (const PaperRow& r : paper_tables(d, {"4", "6", "8"}, [](const std::string&, double) {}).rows)
      n += r.use == RowUse::calibration ? 1 : 0;
    return n;
  };
  d.name = "any";
  EXPECT_EQ(fitted(), 9 + 2 + 1);
  d.measured_rows = "none";
  EXPECT_EQ(fitted(), 0);
  d.name = "WSE-2";
  EXPECT_EQ(fitted(), 0);
}

TEST(PaperTables, SidesThatADeviceDoesNotHaveAreLeftOut) { EXPECT_TRUE(tables({"3", "4", "figure 9"}, "tiny").rows.empty()); }

}  // namespace
}  // namespace wafer
