#include "support/mutants.h"

#include <fmt/format.h>

#include <bit>
#include <exception>

#include "mesh/locality.h"
#include "mesh/verify.h"
#include "support/mutator.h"
#include "support/naive_executor.h"
#include "time/time.h"

namespace wafer {

using namespace mesh;

namespace {

// The bits of all logits and choices: the prompt in chunks, two rows of each, the transition, tokens one by one.
std::vector<uint32_t> values_of(const BuiltCase& b, const Lowered& lowered) {
  std::vector<uint32_t> out;
  const auto keep = [&](const NaiveExecutor& mesh) {
    for (const float v : mesh.logits()) out.push_back(std::bit_cast<uint32_t>(v));
    if (!b.what.plan.host_choice) out.push_back(static_cast<uint32_t>(mesh.chosen()));
  };
  NaiveExecutor mesh(lowered, b.model);
  for (Params p : prefill_chunks(b.what)) {
    mesh.run("prefill", p, tokens_of(b, p));
    p.row = p.rows - 1;
    mesh.run("row", p, {});
    keep(mesh);
  }
  mesh.run("transition", transition_params(b.what), {});
  for (int64_t at = b.what.prompt; at < b.what.prompt + b.what.decode; at++) {
    mesh.run("decode", decode_params(b.what, at), tokens_of(b, decode_params(b.what, at)));
    keep(mesh);
  }
  return out;
}

std::vector<int64_t> cycles_of(const BuiltCase& b, const Program& program, const Device& device) {
  std::vector<int64_t> out;
  const auto time = [&](const char* entry, const Params& p) { out.push_back(time::time_entry(program, device, entry, p).cycles); };
  for (Params p : prefill_chunks(b.what)) {
    time("prefill", p);
    p.row = p.rows - 1;
    time("row", p);
  }
  time("transition", transition_params(b.what));
  for (int64_t at = b.what.prompt; at < b.what.prompt + b.what.decode; at++) time("decode", decode_params(b.what, at));
  return out;
}

std::string told(const std::vector<Diagnostic>& found) {
  return fmt::format("{} at ({},{}), {}: {}", name(found[0].rule), found[0].x, found[0].y, found[0].where, found[0].text);
}

}  // namespace

const char* name(Catcher c) {
  switch (c) {
    case Catcher::verify: return "verify";
    case Catcher::locality: return "locality";
    case Catcher::values: return "values";
    case Catcher::nobody: return "no fault";
    case Catcher::executor: return "executor only";
    case Catcher::time: return "time only";
  }
  return "?";
}

std::vector<Mutant> try_mutants(const BuiltCase& built, const Device& device, uint64_t seed, int count) {
  Rng rng(seed);
  const Limits limits = {.mesh = built.lowered.program().mesh, .sram_bytes = 1 << 20, .code_bytes = 0, .colours = 21};
  const std::vector<uint32_t> values = values_of(built, built.lowered);
  const std::vector<int64_t> cycles = cycles_of(built, built.lowered.program(), device);
  std::vector<Mutant> out;
  while (static_cast<int>(out.size()) < count) {
    Lowered changed = built.lowered;
    Program& program = changed.placement.program;
    std::map<std::string, std::vector<MutationSite>> by_field;
    for (MutationSite& site : mutation_sites(program, rng)) by_field[site.field].push_back(std::move(site));
    auto field = by_field.begin();
    std::advance(field, next_below(rng, by_field.size()));
    const MutationSite& site = field->second[next_below(rng, field->second.size())];
    Mutant m{.field = site.field, .where = site.where, .change = site.change(rng)};
    if (m.change.empty()) continue;
    if (const std::vector<Diagnostic> found = verify(program, limits); !found.empty()) {
      m.caught_by = Catcher::verify;
      m.how = told(found);
    } else if (const std::vector<Diagnostic> lost = check_locality(program); !lost.empty()) {
      m.caught_by = Catcher::locality;
      m.how = told(lost);
    } else {
      try {
        m.caught_by = values_of(built, changed) != values           ? Catcher::values
                      : cycles_of(built, program, device) != cycles ? Catcher::time
                                                                    : Catcher::nobody;
      } catch (const std::exception& e) {
        m.caught_by = Catcher::executor;
        m.how = e.what();
      }
    }
    out.push_back(std::move(m));
  }
  return out;
}

}  // namespace wafer
