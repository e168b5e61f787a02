// waferllm inspect: what a model's file holds.
#include "base/error.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "model/gguf.h"
#include "model/model.h"
#include "report/model_report.h"
#include "text/tokenizer.h"

namespace wafer::cli {
namespace {

ModelReport checkpoint_report(const std::string& path) {
  const Gguf gguf = load_gguf(path);
  ModelReport report = model_report(gguf);
  // A file that this system cannot run can still be looked at.
  try {
    report.config = load_model(gguf).config;
  } catch (const Error& e) {
    report.why_no_config = e.what();
  }
  try {
    report.tokenizer = load_tokenizer(gguf);
  } catch (const Error& e) {
    report.why_no_tokenizer = e.what();
  }
  return report;
}

}  // namespace

void inspect_command(const InspectArguments& a) {
  const ModelReport report = kind_of(a.model) == ModelKind::shape ? shape_report(a.model, load_shape(a.model)) : checkpoint_report(a.model);
  write_out(a.json ? model_json(report) + "\n" : model_text(report));
}

}  // namespace wafer::cli
