#include "paper/plots.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "base/printable.h"

namespace wafer {
namespace {

// ---- what is drawn -----------------------------------------------------------------------------------------------------------------

struct PlotKind {
  const char* table;
  const char* file;
  const char* title;
  const char* metric;
  const char* y_label;
  const char* share;  // a metric of shares, in a second line of panels; nullptr: none
  bool one_scale;     // all panels have the y axis of the largest, so that they compare
};
// The tables compare models, the figures the algorithms of one problem.
constexpr std::array kKinds = {
    PlotKind{"3", "table3.svg", "Table 3: prefill of 4096 tokens, all layers", "prefill tok/s at 4096", "tokens/s", nullptr, true},
    PlotKind{"4", "table4.svg", "Table 4: decode at 4096 tokens, all layers", "decode tok/s", "tokens/s", nullptr, true},
    PlotKind{"figure 9", "figure9.svg", "Figure 9: product of two matrices (GEMM)", "cycles", "cycles", "communicate share", false},
    PlotKind{"figure 10", "figure10.svg", "Figure 10: product of a vector and a matrix (GEMV)", "cycles", "cycles", nullptr, false},
};

struct Series {
  std::map<int, double> ours, paper;  // by the side of the mesh
};
struct Panel {
  std::string title;
  bool share = false;
  std::map<std::string, Series> series;  // by method
};
struct Picture {
  const PlotKind& kind;
  std::string device;
  std::vector<std::string> methods;  // in the order of the rows, which is that of colours and legend
  std::vector<Panel> panels;         // shares behind all others
  std::set<int> sides;
  bool has_paper = false;
};

// 480 for "480x480"; 0 for anything else.
int square_side(const std::string& config) {
  int w = 0, h = 0;
  const char* end = config.data() + config.size();
  const auto first = std::from_chars(config.data(), end, w);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != 'x') return 0;
  const auto second = std::from_chars(first.ptr + 1, end, h);
  return second.ec == std::errc() && second.ptr == end && w == h && w > 0 ? w : 0;
}

Panel& panel_of(Picture& p, const std::string& title, bool share) {
  for (Panel& panel : p.panels)
    if (panel.title == title && panel.share == share) return panel;
  p.panels.push_back({.title = title, .share = share});
  return p.panels.back();
}

Picture picture_of(const PlotKind& kind, const std::vector<PaperRow>& rows) {
  Picture p{.kind = kind};
  for (const PaperRow& r : rows) {
    const bool share = kind.share != nullptr && r.metric == kind.share;
    const int side = square_side(r.config);
    if (r.table != kind.table || (r.metric != kind.metric && !share) || side == 0) continue;
    const auto drawable = [&](double v) { return std::isfinite(v) && (share ? v >= 0 && v <= 1 : v > 0); };
    const double unit = share ? 100 : 1;
    if (!drawable(r.ours)) continue;
    if (std::find(p.methods.begin(), p.methods.end(), r.method) == p.methods.end()) p.methods.push_back(r.method);
    Series& s = panel_of(p, r.model, share).series[r.method];
    s.ours[side] = unit * r.ours;
    if (r.paper && drawable(*r.paper)) {
      s.paper[side] = unit * *r.paper;
      p.has_paper = true;
    }
    p.sides.insert(side);
    p.device = r.device;
  }
  std::stable_partition(p.panels.begin(), p.panels.end(), [](const Panel& panel) { return !panel.share; });
  return p;
}

// ---- axes: ranges and ticks are chosen here, so that labels are short and a panel is never without one ------------------------------

struct Range {
  double least = INFINITY, most = 0;
  bool wide() const { return most >= 10 * least; }  // for a logarithmic axis
};
void cover(Range& range, const Panel& panel) {
  for (const auto& [method, s] : panel.series)
    for (const auto* points : {&s.ours, &s.paper})
      for (const auto& [side, y] : *points) range = {std::min(range.least, y), std::max(range.most, y)};
}

std::string tick_label(double v) {
  if (v >= 1e9) return fmt::format("{:g}G", v / 1e9);
  if (v >= 1e6) return fmt::format("{:g}M", v / 1e6);
  return v >= 1e3 ? fmt::format("{:g}k", v / 1e3) : fmt::format("{:g}", v);
}

std::string linear_axis(double most) {
  double step = std::pow(10.0, std::floor(std::log10(most)));
  while (most < 3 * step) step /= step == std::pow(10.0, std::floor(std::log10(step))) ? 2 : 2.5;
  if (most > 7 * step) step *= 2;
  const int top = static_cast<int>(std::ceil(1.03 * most / step));
  std::vector<std::string> ticks;
  for (int k = 0; k <= top; k++) ticks.push_back(fmt::format("'{}' {}", tick_label(k * step), k * step));
  return fmt::format("unset logscale y\nset yrange [0:{}]\nset ytics ({})\n", top * step, fmt::join(ticks, ", "));
}

constexpr const char* kShareAxis = "unset logscale y\nset yrange [0:100]\nset ytics (0, 20, 40, 60, 80, 100)\n";

std::string log_axis(const Range& r) {
  const double bottom = r.least / 1.3, top = r.most * 1.3, decades = std::log10(top / bottom);
  std::vector<std::string> ticks;
  for (int e = static_cast<int>(std::floor(std::log10(bottom))); e <= std::log10(top); e++)
    for (int digit = 1; digit < 10; digit++) {
      const double v = digit * std::pow(10.0, e);
      if (v < bottom || v > top) continue;
      const bool labelled = digit == 1 || (decades < 2.2 && (digit == 2 || digit == 5)) || decades < 0.8;
      ticks.push_back(labelled ? fmt::format("'{}' {}", tick_label(v), v) : fmt::format("'' {} 1", v));
    }
  return fmt::format("set logscale y\nset yrange [{}:{}]\nset ytics ({})\n", bottom, top, fmt::join(ticks, ", "));
}

// Room at both sides, so that markers are not cut.
std::string side_axis(const std::set<int>& sides) {
  const int first = *sides.begin(), last = *sides.rbegin();
  const double room = last > first ? 0.07 * (last - first) : 0.1 * first;
  const std::string ticks = sides.size() <= 8 ? fmt::format("set xtics ({})\n", fmt::join(sides, ", ")) : "";
  return fmt::format("set xrange [{}:{}]\n{}", first - room, last + room, ticks);
}

// ---- the script --------------------------------------------------------------------------------------------------------------------

// Okabe and Ito's colours, told apart by colour-blind readers too; the pale ones last. Each with a marker of its own: gnuplot's filled
// and hollow markers of one shape are neighbours.
struct Style {
  const char* colour;
  int filled, hollow;
};
constexpr std::array kStyles = {Style{"#0072b2", 7, 6},   Style{"#d55e00", 5, 4},   Style{"#009e73", 9, 8},
                                Style{"#cc79a7", 13, 12}, Style{"#000000", 11, 10}, Style{"#e69f00", 15, 14}};
const Style& style_of(size_t method) { return kStyles[method % kStyles.size()]; }

// In single quotes gnuplot expands nothing; a quote is written twice. Names are of one line.
std::string quoted_text(const std::string& text) {
  std::string out = "'";
  for (const char c : escaped(text)) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

std::string block(const std::string& name, const std::map<int, double>& points) {
  std::string out = "$" + name + " << END\n";
  for (const auto& [side, y] : points) out += fmt::format("{} {}\n", side, y);
  return out + "END\n";
}

// The paper's are larger than ours, so that both are seen where they agree.
constexpr const char *kOurSize = "0.7", *kPaperSize = "1.35";
std::string our_style(size_t method) {
  return fmt::format("with linespoints lc rgb '{}' lw 2 pt {} ps {}", style_of(method).colour, style_of(method).filled, kOurSize);
}
std::string paper_style(size_t method) {
  return fmt::format("with points lc rgb '{}' lw 1.5 pt {} ps {}", style_of(method).colour, style_of(method).hollow, kPaperSize);
}

// Pixels.
constexpr int kWidth = 1000, kTitle = 44, kLegend = 40, kPanelHeight = 312;
constexpr int kLeft = 84, kRight = 16, kTop = 34, kBottom = 66;

struct Grid {
  int columns, lines;
  int height() const { return kTitle + lines * kPanelHeight + kLegend; }
};
// Shares stand below the panels that they belong to; four panels without shares are a square.
Grid grid_of(const Picture& p) {
  const int panels = static_cast<int>(p.panels.size());
  const int shares = static_cast<int>(std::count_if(p.panels.begin(), p.panels.end(), [](const Panel& a) { return a.share; }));
  const int columns = shares > 0 ? std::max(shares, panels - shares) : panels == 4 ? 2 : std::min(panels, 3);
  return {.columns = columns, .lines = (panels - shares + columns - 1) / columns + (shares > 0 ? 1 : 0)};
}

std::string margins(const Grid& g, int left, int right, int top, int bottom) {
  const double w = kWidth, h = g.height();
  return fmt::format(
      "set lmargin at screen {:.4f}\nset rmargin at screen {:.4f}\nset tmargin at screen {:.4f}\nset bmargin at screen {:.4f}\n", left / w,
      right / w, 1 - top / h, 1 - bottom / h);
}

std::string place(const Grid& g, int column, int line) {
  const int x = kWidth * column / g.columns, next = kWidth * (column + 1) / g.columns, y = kTitle + line * kPanelHeight;
  return margins(g, x + kLeft, next - kRight, y + kTop, y + kPanelHeight - kBottom);
}

std::string panel_script(const Picture& p, const Panel& panel, const std::string& name, bool leftmost, const std::string& axis,
                         const std::string& label) {
  std::string data, marks, lines;
  for (size_t m = 0; m < p.methods.size(); m++) {
    const auto found = panel.series.find(p.methods[m]);
    if (found == panel.series.end()) continue;
    const auto add = [&](std::string& plot, const char* whose, const std::map<int, double>& points, const std::string& style) {
      const std::string block_name = fmt::format("{}_{}_{}", whose, name, m);
      data += block(block_name, points);
      plot += fmt::format("{}${} {} notitle", plot.empty() ? "" : ", \\\n  ", block_name, style);
    };
    add(lines, "ours", found->second.ours, our_style(m));
    if (!found->second.paper.empty()) add(marks, "paper", found->second.paper, paper_style(m));
  }
  return data + axis + "set title " + quoted_text(panel.title) + " offset 0,-0.4\nset ylabel " + quoted_text(leftmost ? label : "") +
         " offset 0.8,0\nplot " + lines + (marks.empty() ? "" : ", \\\n  " + marks) + "\n";
}

// Texts of the whole picture, which gnuplot draws with the panel that follows: the title, and the legend below all panels, where it covers
// no data. The widths of its entries are guessed from their letters.
std::string frame_script(const Picture& p, const Grid& g) {
  std::string out = fmt::format("set label {} at screen 0.5, screen {:.4f} center font 'sans-serif,18'\n",
                                quoted_text(fmt::format("{}, {}", p.kind.title, p.device)), 1 - 24.0 / g.height());
  constexpr const char* kPaper = "hollow: the paper's number";
  constexpr double kMarker = 52, kLetter = 8.5, kGap = 26;  // pixels
  const auto width = [&](const std::string& text) { return kMarker + kLetter * static_cast<double>(text.size()) + kGap; };
  double x = kWidth + kGap - (p.has_paper ? width(kPaper) : 0);
  for (const std::string& m : p.methods) x -= width(m);
  x = std::max(x / 2, 8.0);
  const double y = 1 - (g.height() - kLegend / 2.0) / g.height();
  const auto entry = [&](const std::string& text, const char* colour, int marker, const char* size) {
    out += fmt::format("set label at screen {0:.4f}, screen {1:.4f} point lc rgb '{2}' lw 1.5 pt {3} ps {4}\n", (x + 20) / kWidth, y,
                       colour, marker, size);
    out += fmt::format("set label {} at screen {:.4f}, screen {:.4f} left\n", quoted_text(text), (x + kMarker - 4) / kWidth, y);
  };
  for (size_t m = 0; m < p.methods.size(); m++) {
    const Style& style = style_of(m);
    out += fmt::format("set arrow from screen {0:.4f}, screen {2:.4f} to screen {1:.4f}, screen {2:.4f} nohead lc rgb '{3}' lw 2\n",
                       x / kWidth, (x + 40) / kWidth, y, style.colour);
    entry(p.methods[m], style.colour, style.filled, kOurSize);
    x += width(p.methods[m]);
  }
  if (p.has_paper) entry(kPaper, "#606060", 6, kPaperSize);
  return out;
}

std::string script_of(const Picture& p) {
  const Grid g = grid_of(p);
  std::string out = fmt::format(
      "set terminal svg size {},{} font 'sans-serif,14' background '#ffffff' noenhanced\nset multiplot\nset border 3 lc rgb '#404040'\nset "
      "tics nomirror out scale 0.6\nset grid xtics ytics lc rgb "
      "'#e0e0e0' lw 1 lt 1\nunset key\nset xlabel 'cores on a side of the mesh' offset 0,0.5\n",
      kWidth, g.height());
  out += side_axis(p.sides) + frame_script(p, g);
  Range all;
  bool wide = false;  // one panel that asks for a logarithmic axis gives it to all
  for (const Panel& panel : p.panels) {
    if (panel.share) continue;
    Range own;
    cover(own, panel);
    cover(all, panel);
    wide = wide || own.wide();
  }
  wide = wide || (p.kind.one_scale && all.wide());
  int column = 0, line = 0;
  for (size_t k = 0; k < p.panels.size(); k++) {
    const Panel& panel = p.panels[k];
    const bool first_share = panel.share && (k == 0 || !p.panels[k - 1].share);
    if (k > 0 && (column == g.columns || (first_share && column > 0))) {
      column = 0;
      line++;
    }
    Range range = all;
    if (!p.kind.one_scale) cover(range = {}, panel);
    const std::string axis = panel.share ? std::string(kShareAxis) : wide ? log_axis(range) : linear_axis(range.most);
    const std::string label = panel.share ? "communication and waiting, %" : p.kind.y_label + std::string(wide ? " (log scale)" : "");
    out += place(g, column, line) + panel_script(p, panel, fmt::format("{}", k), column == 0, axis, label) +
           (k == 0 ? "unset label\nunset arrow\n" : "");
    column++;
  }
  return out + "unset multiplot\n";
}

}  // namespace

std::vector<Plot> paper_plots(const PaperTables& tables) {
  std::vector<Plot> plots;
  for (const PlotKind& kind : kKinds) {
    const Picture p = picture_of(kind, tables.rows);
    if (!p.panels.empty()) plots.push_back({.file = kind.file, .script = script_of(p)});
  }
  return plots;
}

std::vector<std::string> plotted_tables() {
  std::vector<std::string> names;
  for (const PlotKind& kind : kKinds) names.emplace_back(kind.table);
  return names;
}

}  // namespace wafer
