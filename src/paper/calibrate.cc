#include "paper/calibrate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "paper/least_squares.h"
#include "paper/paper_models.h"
#include "paper/published_rows.h"
#include "paper/published_time.h"

namespace wafer {
namespace {

using Vector = std::vector<double>;

// A row to fit: seconds on a device with some constants.
struct Target {
  std::string name;
  double paper = 0;    // as printed
  double seconds = 0;  // the same as a time
  double bar = 0.02;   // how close it should come: its weight in the fit is 1 / bar
  bool is_time = false;
  std::function<double(const Device&)> time;
};

// error of what the paper prints: a rate, or a time where is_time.
double error_of(const Target& t, double seconds) { return t.is_time ? seconds / t.seconds - 1 : t.seconds / seconds - 1; }

enum Constant : size_t { kMap, kExchange, kForward, kReciprocal };
constexpr const char* kFields[] = {"map_iteration_cycles", "exchange_step_cycles", "forward_f16_cycles", "reciprocal_cycles"};
constexpr double kSteps[] = {1, 40, 4, 10};  // by which a constant is moved to see what it does
constexpr const char* kRate = "fmac_f16_elements_per_cycle";
constexpr int kRates[] = {2, 4};  // half and all of the SIMD table's
constexpr int64_t kRingSteps = 16;

std::vector<Target> targets(const Device& device) {
  const ModelConfig& model = paper_model("LLaMA3-8B");
  std::vector<Target> all;
  const double model_layers = static_cast<double>(model.layers);
  for (const PublishedRow& r : published_rows()) {
    if (r.use != RowUse::calibration || r.method != "WaferLLM") continue;
    const int side = std::atoi(std::string(r.config).c_str());
    Target t{.name = "table " + std::string(r.table) + ", " + std::string(r.config), .paper = r.value};
    if (r.table == "3") {
      t.seconds = kPaperTokens / r.value;
      t.bar = 0.03;
      // A few steps of each product stand for all; the ratio to timing all of them is the same for close constants.
      const double all_steps = static_cast<double>(published_prefill_layer(model, side, kPaperTokens, device).cycles) /
                               static_cast<double>(published_prefill_layer(model, side, kPaperTokens, device, kRingSteps).cycles);
      t.time = [=](const Device& d) {
        return all_steps * model_layers * static_cast<double>(published_prefill_layer(model, side, kPaperTokens, d, kRingSteps).cycles) /
               d.clock_hz;
      };
    } else if (r.table == "4") {
      t.seconds = 1 / r.value;
      t.time = [=](const Device& d) {
        return model_layers * static_cast<double>(published_decode_layer(model, side, kPaperTokens, d).cycles) / d.clock_hz;
      };
    } else if (r.table == "2") {
      const PublishedRequest request = paper_request("LLaMA3-8B", std::string(r.config));
      t.seconds = static_cast<double>(request.output) / r.value;
      t.bar = 0.10;
      PublishedLayers layers{.device = device};
      const PublishedRequestTime whole = published_request(model, request, layers);
      const double all_steps =
          static_cast<double>(whole.prefill) /
          (model_layers *
           static_cast<double>(published_prefill_layer(model, request.prefill_side, request.input, device, kRingSteps).cycles));
      t.time = [=](const Device& d) {
        const double prefill =
            all_steps * model_layers *
            static_cast<double>(published_prefill_layer(model, request.prefill_side, request.input, d, kRingSteps).cycles);
        PublishedLayers decode{.device = d};
        return (prefill + static_cast<double>(whole.transition + published_decode_cycles(model, request, decode))) / d.clock_hz;
      };
    } else {
      continue;
    }
    all.push_back(std::move(t));
  }
  return all;
}

Device with(const Device& base, int rate, const Vector& x) {
  Device d = base;
  set_device_field(d, kRate, rate, "calibrate");
  for (size_t k = 0; k < x.size(); k++) set_device_field(d, kFields[k], std::max(0.0, std::round(x[k])), "calibrate");
  return d;
}

struct Linear {
  Vector at;                   // the constants around which
  Vector seconds;              // [rows] there
  std::vector<Vector> change;  // [rows][constants] seconds for one more
};

Linear linearise(const Device& device, int rate, const std::vector<Target>& rows, const Vector& at) {
  Linear l{.at = at, .seconds = {}, .change = std::vector<Vector>(rows.size(), Vector(at.size(), 0))};
  const Device here = with(device, rate, at);
  for (const Target& t : rows) l.seconds.push_back(t.time(here));
  for (size_t k = 0; k < at.size(); k++) {
    Vector moved = at;
    moved[k] += kSteps[k];
    const Device d = with(device, rate, moved);
    for (size_t i = 0; i < rows.size(); i++) l.change[i][k] = (rows[i].time(d) - l.seconds[i]) / kSteps[k];
  }
  return l;
}

// Constants that fit all rows but one.
Vector fit(const Linear& l, const std::vector<Target>& rows, size_t without) {
  std::vector<Vector> m;
  Vector goal;
  for (size_t i = 0; i < rows.size(); i++) {
    if (i == without) continue;
    const double weight = 1 / (rows[i].bar * rows[i].seconds);
    Vector row = l.change[i];
    for (double& v : row) v *= weight;
    m.push_back(std::move(row));
    goal.push_back(weight * (rows[i].seconds - l.seconds[i]));
  }
  Vector x = least_squares(m, goal);
  for (size_t k = 0; k < x.size(); k++) x[k] = std::max(0.0, l.at[k] + x[k]);
  return x;
}

double at(const Linear& l, size_t row, const Vector& x) {
  double seconds = l.seconds[row];
  for (size_t k = 0; k < x.size(); k++) seconds += l.change[row][k] * (x[k] - l.at[k]);
  return seconds;
}

double badness(const std::vector<Target>& rows, const Vector& seconds) {
  double sum = 0;
  for (size_t i = 0; i < rows.size(); i++) sum += std::pow((seconds[i] / rows[i].seconds - 1) / rows[i].bar, 2);
  return sum;
}

// Constants are whole cycles. Rounded one by one they miss what they have in common, so whole map turns and stages around the best are
// tried, each with the other two fitted again; what is best by the straight lines is returned.
Vector whole_constants(const Linear& l, const std::vector<Target>& rows) {
  const Vector middle = fit(l, rows, rows.size());
  std::optional<double> least;
  Vector found = middle;
  for (int map = -1; map <= 1; map++)
    for (int forward = -1; forward <= 1; forward++) {
      Vector x = middle;
      x[kMap] = std::max(0.0, std::round(middle[kMap]) + map);
      x[kForward] = std::max(0.0, std::round(middle[kForward]) + forward);
      std::vector<Vector> m;
      Vector goal;
      for (size_t i = 0; i < rows.size(); i++) {
        const double weight = 1 / (rows[i].bar * rows[i].seconds);
        m.push_back({weight * l.change[i][kExchange], weight * l.change[i][kReciprocal]});
        goal.push_back(weight * (rows[i].seconds - at(l, i, x)));
      }
      const Vector more = least_squares(m, goal);
      x[kExchange] = std::max(0.0, std::round(x[kExchange] + more[0]));
      x[kReciprocal] = std::max(0.0, std::round(x[kReciprocal] + more[1]));
      Vector seconds;
      for (size_t i = 0; i < rows.size(); i++) seconds.push_back(at(l, i, x));
      if (const double b = badness(rows, seconds); !least || b < *least) {
        least = b;
        found = x;
      }
    }
  return found;
}

CalibrationGroup calibrate_wafer(const Device& device) {
  const std::vector<Target> rows = targets(device);
  Vector in_use;
  for (const char* field : kFields) in_use.push_back(device_field(device, field));
  struct Best {
    int rate = 0;
    Linear linear;
    Vector x, seconds;
    double badness = 0;
  };
  std::optional<Best> best;
  for (int rate : kRates) {
    Vector x = fit(linearise(device, rate, rows, in_use), rows, rows.size());
    for (double& v : x) v = std::round(v);
    const Linear l = linearise(device, rate, rows, x);  // around a better place
    Best now{.rate = rate, .linear = l, .x = whole_constants(l, rows), .seconds = {}, .badness = 0};
    const Device d = with(device, rate, now.x);
    for (const Target& t : rows) now.seconds.push_back(t.time(d));
    now.badness = badness(rows, now.seconds);
    if (!best || now.badness < best->badness) best = std::move(now);
  }
  CalibrationGroup group{.title = "plan published", .constants = {}, .rows = {}};
  group.constants.push_back({.name = kRate, .in_use = device_field(device, kRate), .fitted = static_cast<double>(best->rate)});
  for (size_t k = 0; k < in_use.size(); k++) group.constants.push_back({.name = kFields[k], .in_use = in_use[k], .fitted = best->x[k]});
  for (size_t i = 0; i < rows.size(); i++)
    group.rows.push_back({.name = rows[i].name,
                          .paper = rows[i].paper,
                          .in_use = error_of(rows[i], rows[i].time(device)),
                          .fitted = error_of(rows[i], best->seconds[i]),
                          .left_out = error_of(rows[i], at(best->linear, i, fit(best->linear, rows, i)))});
  return group;
}

// ---- baselines -------------------------------------------------------------------------------------------------------------------

CalibrationGroup calibrate_baseline(BaselineSystem system, const Device& device) {
  struct Row {
    std::string name;
    double paper, goal;  // as printed; cycles of a layer
    BaselineTime time;
  };
  const ModelConfig& model = paper_model("LLaMA3-8B");
  PublishedLayers layers{.device = device};
  std::vector<Row> rows;
  for (const PublishedRow& r : published_rows()) {
    if (r.method != name(system)) continue;
    const int side = std::atoi(std::string(r.config).c_str());
    const bool prefill = r.table == "3";
    rows.push_back({.name = "table " + std::string(r.table) + ", " + std::string(r.config),
                    .paper = r.value,
                    .goal = (prefill ? kPaperTokens : 1) * device.clock_hz / (r.value * static_cast<double>(model.layers)),
                    .time = prefill ? baseline_prefill_layer(model, side, kPaperTokens, layers)
                                    : baseline_decode_layer(system, model, side, kPaperTokens, layers)});
  }
  // Relative errors, as the constants stand: relays, stages.
  auto solve = [&](size_t without) {
    std::vector<Vector> m;
    Vector goal;
    for (size_t i = 0; i < rows.size(); i++) {
      if (i == without) continue;
      m.push_back({rows[i].time.relays / rows[i].goal, rows[i].time.stages / rows[i].goal});
      goal.push_back(1 - rows[i].time.base / rows[i].goal);
    }
    return least_squares(m, goal);
  };
  auto error = [&](const Row& r, const Vector& x) { return r.goal / (r.time.base + r.time.relays * x[0] + r.time.stages * x[1]) - 1; };
  const BaselineConstants in_use;
  const bool t10 = system == BaselineSystem::t10;
  const Vector now = {t10 ? in_use.t10_relay_cycles : in_use.ladder_fetch_cycles, t10 ? in_use.t10_stage_cycles : 0};
  const Vector fitted = solve(rows.size());
  CalibrationGroup group{.title = name(system), .constants = {}, .rows = {}};
  group.constants.push_back({.name = t10 ? "t10_relay_cycles" : "ladder_fetch_cycles", .in_use = now[0], .fitted = fitted[0]});
  if (t10) group.constants.push_back({.name = "t10_stage_cycles", .in_use = now[1], .fitted = fitted[1]});
  for (size_t i = 0; i < rows.size(); i++)
    group.rows.push_back({.name = rows[i].name,
                          .paper = rows[i].paper,
                          .in_use = error(rows[i], now),
                          .fitted = error(rows[i], fitted),
                          .left_out = error(rows[i], solve(i))});
  return group;
}

}  // namespace

std::vector<CalibrationGroup> calibrate(const Device& device) {
  return {calibrate_wafer(device), calibrate_baseline(BaselineSystem::t10, device), calibrate_baseline(BaselineSystem::ladder, device)};
}

}  // namespace wafer
