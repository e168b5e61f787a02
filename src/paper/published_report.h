// What `waferllm bench decode|prefill|e2e --plan published` measure and print: cycles of the authors' measured kernels.
#pragma once
#include <cstdint>
#include <string>

#include "device/device.h"
#include "model/config.h"
#include "paper/published_time.h"
#include "time/time.h"

namespace wafer {

// What a user may ask for: the schedule's arithmetic takes any size, but clocks and the host's time have bounds.
constexpr int64_t kPublishedPositions = int64_t{1} << 20;
constexpr int64_t kPublishedTile = int64_t{1} << 22;  // elements of one matrix on one core: a hundred times its SRAM

struct PublishedLayerReport {
  std::string what;  // "decode", "prefill"
  ModelConfig model;
  Device device;
  int side = 1;
  int groups = 0;         // decode: of each line of cores
  int64_t positions = 1;  // decode: the token is the last of them; prefill: tokens of the prompt
  time::TimeReport layer = {};
  double host_seconds = 0;
};
struct PublishedRequestReport {
  ModelConfig model;
  Device device;
  PublishedRequest request;
  PublishedRequestTime time = {};
  double host_seconds = 0;
};

// groups: 0 for the published ones. Each throws Error for a mesh that the device does not have and for tiles beyond all bounds.
PublishedLayerReport bench_published_decode(const ModelConfig& model, const Device& device, int side, int groups, int64_t context);
PublishedLayerReport bench_published_prefill(const ModelConfig& model, const Device& device, int side, int64_t tokens);
PublishedRequestReport bench_published_request(const ModelConfig& model, const Device& device, const PublishedRequest& request);

double tokens_per_second(const PublishedLayerReport& report);  // of layers alone

std::string bench_text(const PublishedLayerReport& report);
std::string bench_json(const PublishedLayerReport& report);  // one line
std::string bench_text(const PublishedRequestReport& report);
std::string bench_json(const PublishedRequestReport& report);

}  // namespace wafer
