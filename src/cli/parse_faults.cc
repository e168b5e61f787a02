#include "cli/parse_faults.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/printable.h"

namespace wafer::cli {
namespace {

// Letters to change, leave out, put in or exchange with their neighbour.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); i++)
    for (size_t k = 0; k <= b.size(); k++) {
      if (i == 0 || k == 0) {
        d[i][k] = i + k;
        continue;
      }
      d[i][k] = std::min({d[i - 1][k] + 1, d[i][k - 1] + 1, d[i - 1][k - 1] + (a[i - 1] == b[k - 1] ? 0 : 1)});
      if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) d[i][k] = std::min(d[i][k], d[i - 2][k - 2] + 1);
    }
  return d[a.size()][b.size()];
}

// The name that was meant, where one is near: a third of its letters wrong at most, or one the beginning of the other.
std::string nearest(const std::string& word, const std::vector<std::string>& names) {
  const auto letters = [](const std::string& s) { return s.substr(std::min(s.find_first_not_of('-'), s.size())); };
  const std::string given = letters(word).substr(0, 64);
  std::string best;
  size_t least = 0;
  for (const std::string& name : names) {
    const std::string own = letters(name);
    const bool begins = (own.starts_with(given) && given.size() >= 2) || (given.starts_with(own) && own.size() >= 3);
    const size_t off = begins ? 1 : distance(given, own);
    if (off > std::max<size_t>(1, own.size() / 3) || off >= own.size() || (!best.empty() && off >= least)) continue;
    best = name;
    least = off;
  }
  return best;
}

using Options = std::vector<const CLI::Option*>;

// "-m, --model"; of what may be given without a dash, the name of its place: "MODEL".
std::string name_of(const CLI::Option& o) {
  if (o.get_positional()) return o.get_name(/*positional=*/true);
  std::vector<std::string> names;
  for (const std::string& name : o.get_snames()) names.push_back("-" + name);
  for (const std::string& name : o.get_lnames()) names.push_back("--" + name);
  return fmt::format("{}", fmt::join(names, ", "));
}

// "TEXT, the prompt" from the help.
std::string meaning_of(const CLI::Option& o) {
  std::string text = o.get_description();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return o.get_type_name().empty() ? text : o.get_type_name() + ": " + text;
}

std::vector<std::string> long_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* o : app.get_options({}))
    for (const std::string& name : o->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
  return names;
}

// The words read as the parser reads them.
struct Reading {
  const CLI::App* app;
  std::string path = "";  // of commands: "bench decode"
  std::map<const CLI::Option*, std::string> given = {};

  std::string help() const { return fmt::format("see `waferllm{}{} --help`", path.empty() ? "" : " ", path); }
  std::string where() const { return path.empty() ? "command line" : path; }

  [[noreturn]] void unknown_option(const std::string& word) const {
    const std::string name = word.substr(0, word.find('=')), near = nearest(name, long_names(*app));
    throw Error{{.where = where(),
                 .found = "the unknown option " + wafer::quoted(name),
                 .expected = path.empty() ? "a command" : fmt::format("an option of `waferllm {}`", path),
                 .fix = near.empty() ? help() : fmt::format("use {}, or {}", near, help())}};
  }

  [[noreturn]] void unknown_command(const std::string& word) const {
    const std::vector<std::string> names = command_names(*app);
    const std::string near = nearest(word, names);
    throw Error{{.where = where(),
                 .found = wafer::quoted(word),
                 .expected = fmt::format("one of the commands {}", fmt::join(names, ", ")),
                 .fix = near.empty() ? help() : fmt::format("use {}, or {}", near, help())}};
  }

  void take(const CLI::Option& o, const std::string& value) {
    const auto [other, fresh] = given.emplace(&o, value);
    if (fresh) return;
    throw Error{{.where = name_of(o),
                 .found = fmt::format("it twice, {} and {}", wafer::quoted(other->second), wafer::quoted(value)),
                 .expected = "it once",
                 .fix = "leave one of them out"}};
  }

  // A word that begins with '-'. Returns whether the next word is its value, which `next` must then be.
  bool read_option(const std::string& word, const std::string* next) {
    const bool is_long = word.starts_with("--");
    const size_t end = is_long ? std::min(word.find('='), word.size()) : 2;
    const CLI::Option* o = app->get_option_no_throw(word.substr(0, end));
    // "-model FILE" is no -m with the value "odel".
    if (o == nullptr || (!is_long && word.size() > 2 && app->get_option_no_throw("-" + word) != nullptr)) unknown_option(word);
    const bool takes_value = o->get_items_expected_max() > 0;
    const bool sticks = word.size() > end;  // "--mesh=8x8", "-mFILE"
    if (!takes_value) {
      if (sticks)
        throw Error{{.where = name_of(*o),
                     .found = "the value " + wafer::quoted(word.substr(end + (is_long ? 1 : 0))),
                     .expected = "none, as it takes no value",
                     .fix = "give the option alone"}};
      return false;
    }
    // The parser takes it for the value, and blames what comes later: a forgotten value is likelier.
    const bool next_is_option = next != nullptr && next->starts_with('-') &&
                                app->get_option_no_throw(next->starts_with("--") ? next->substr(0, next->find('=')) : *next) != nullptr;
    if (!sticks && (next == nullptr || next_is_option))
      throw Error{{.where = name_of(*o), .found = "no value after it", .expected = meaning_of(*o), .fix = "add one"}};
    take(*o, sticks ? word.substr(end + (is_long ? 1 : 0)) : *next);
    return !sticks;
  }

  void read_word(const std::string& word) {
    const Options places = app->get_options([](const CLI::Option* o) { return o->get_positional(); });
    if (!places.empty() && (places.size() > 1 || !given.contains(places.front()))) return take(*places.front(), word);
    throw Error{{.where = where(),
                 .found = "the word " + wafer::quoted(word) + (places.empty() ? "" : " beside " + wafer::quoted(given.at(places.front()))),
                 .expected = places.empty() ? "options alone" : "one " + name_of(*places.front()),
                 .fix = fmt::format("leave it out, put a value with spaces in quotes, or {}", help())}};
  }

  void check_required() const {
    if (const std::vector<std::string> names = command_names(*app); !names.empty())
      throw Error{{.where = where(),
                   .found = "no command",
                   .expected = fmt::format("one of the commands {}", fmt::join(names, ", ")),
                   .fix = help()}};
    for (const CLI::Option* o : app->get_options({}))
      if (o->get_required() && !given.contains(o))
        throw Error{{.where = where(), .found = "no " + name_of(*o), .expected = meaning_of(*o), .fix = "add it, or " + help()}};
  }
};

}  // namespace

void explain_fault(const CLI::App& program, const std::vector<std::string>& words, const std::string& parser_words) {
  Reading r{.app = &program};
  bool options = true;
  for (size_t i = 0; i < words.size(); i++) {
    const std::string& word = words[i];
    if (options && word == "--") {
      options = false;
    } else if (options && word.size() > 1 && word[0] == '-') {
      if (r.read_option(word, i + 1 < words.size() ? &words[i + 1] : nullptr)) i++;
    } else if (const auto commands = r.app->get_subcommands([](const CLI::App*) { return true; }); !commands.empty()) {
      const auto chosen = std::find_if(commands.begin(), commands.end(), [&](const CLI::App* c) { return c->get_name() == word; });
      if (chosen == commands.end()) r.unknown_command(word);
      r.app = *chosen;
      r.path += (r.path.empty() ? "" : " ") + word;
    } else {
      r.read_word(word);
    }
  }
  r.check_required();
  throw Error{{.where = r.where(), .found = parser_words, .expected = "other words", .fix = r.help()}};
}

}  // namespace wafer::cli
