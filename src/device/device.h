// Device: the PLMR parameters of a wafer-scale chip, that is, all that the rest of the system knows about the hardware.
//
// A device is data: a TOML file in devices/ gives every number with its unit and its source (docs/adding-a-device.md). One table in
// device.cc (name, unit, member, limits) drives loading, validation and printing; a field added here needs one row there.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wafer {

inline constexpr const char* kDefaultDevice = "wse2";  // of the command line; nothing else may depend on the name of a device

struct Device {
  std::string name;         // the file's name without .toml
  std::string description;  // one line for people
  std::string file;         // where it was read from

  // Parallelism
  int64_t mesh_width = 0;   // [cores] of the rectangle that programs may use, along x
  int64_t mesh_height = 0;  // [cores] along y

  // Latency: the fabric
  int64_t hop_cycles = 0;                   // a wavelet from one router to the next
  int64_t ramp_cycles = 0;                  // a wavelet from a router to its own core or back, each way
  int64_t wavelet_bits = 0;                 // the fabric's message
  int64_t wavelets_per_cycle_per_link = 0;  // in each direction of a link
  int64_t wavelets_per_cycle_per_ramp = 0;  // in each direction of the ramp

  // Memory
  int64_t sram_bytes_per_core = 0;
  int64_t code_and_system_bytes = 0;           // of them, what no buffer may use
  int64_t code_and_system_bytes_measured = 0;  // the same as a real engine needed it; reports say whether a plan fits with this too
  int64_t sram_read_bytes_per_cycle = 0;       // of a core, at most: vector operations are no faster

  // Routing
  std::vector<int64_t> free_colours;           // [colour ids] that a program may use
  int64_t routable_colours = 0;                // [colours] ids are below this
  int64_t router_queue_wavelets = 0;           // held by a router for one colour and input port
  std::vector<int64_t> input_queue_wavelets;   // depth of each input queue of a core; their count is the list's length
  std::vector<int64_t> output_queue_wavelets;  // depth of each output queue
  int64_t background_operations_per_core = 0;  // stream operations in flight beside the main thread

  // SIMD: elements of a vector operation a cycle, operands in memory. f16: all fp16; f32: all fp32; mixed: fp16 operands, fp32 result
  int64_t fmac_f16_elements_per_cycle = 0;
  int64_t fmac_mixed_elements_per_cycle = 0;  // fp16 product, fp32 sum
  int64_t fmac_f32_elements_per_cycle = 0;
  int64_t add_f16_elements_per_cycle = 0;  // and subtract
  int64_t add_mixed_elements_per_cycle = 0;
  int64_t add_f32_elements_per_cycle = 0;
  int64_t mul_f16_elements_per_cycle = 0;
  int64_t mul_f32_elements_per_cycle = 0;
  int64_t max_f16_elements_per_cycle = 0;
  int64_t max_f32_elements_per_cycle = 0;
  int64_t move_16_elements_per_cycle = 0;  // copies of 16-bit words
  int64_t move_32_elements_per_cycle = 0;
  int64_t scale_f32_elements_per_cycle = 0;   // x * 2^n, an integer n for each element
  int64_t integer_16_elements_per_cycle = 0;  // sums and differences of 16-bit integers
  int64_t convert_f16_to_f32_elements_per_cycle = 0;
  int64_t convert_f32_to_f16_elements_per_cycle = 0;
  int64_t convert_i16_to_f16_elements_per_cycle = 0;
  int64_t convert_i16_to_f32_elements_per_cycle = 0;

  // Machine actions: cycles of a core besides arithmetic, each charged wherever the action is issued
  int64_t stream_op_overhead_cycles = 0;  // issue of one stream (vector) operation
  int64_t task_activation_cycles = 0;     // a task starts
  int64_t descriptor_load_cycles = 0;     // a descriptor into a descriptor register
  int64_t descriptor_edit_cycles = 0;     // base address, length or offset of a descriptor
  int64_t route_change_cycles = 0;        // the route of one colour at one router
  int64_t map_iteration_cycles = 0;       // one turn of a map: a vector operation whose descriptors stay loaded
  int64_t forward_f16_cycles = 0;         // that a vector of fp16 takes longer through receive, add, send on than one of fp32
  int64_t exchange_step_cycles = 0;       // of a compute-shift step beside its counted actions: completions, pointers, tests
  double background_wavelet_cycles = 0;   // that a wavelet between fabric and memory takes from what the core computes meanwhile
  int64_t exp_cycles = 0;                 // scalar functions, one call: e^x and 1/x of the published kernels alone
  int64_t rsqrt_cycles = 0;
  int64_t reciprocal_cycles = 0;
  int64_t sincos_cycles = 0;  // both values of one angle

  // The chip as a whole
  double clock_hz = 0;
  double power_watts = 0;
  double host_round_trip_seconds = 0;  // one small exchange with the host

  // Energy of what happens, and the share of power_watts that flows while nothing does
  double multiply_add_picojoules = 0;  // one element, operands from and to SRAM included
  double ramp_picojoules = 0;          // a wavelet out of the ramp of its sender and into that of its receiver
  double hop_picojoules = 0;           // a wavelet from one router to the next
  double action_picojoules = 0;        // issue of a stream operation, descriptor load or edit, start of a task, change of a route
  double scalar_call_picojoules = 0;   // one scalar function
  double idle_power_share = 0;

  // What others published of the chip, for comparisons alone: no plan of ours depends on it
  int64_t chip_cores = 0;  // of the whole chip, as its maker and the paper count them; programs may use fewer
  std::string
      published_kernels;      // "fixed-routes" or "rewritten-routes": which of the authors' decode kernels runs on it (paper/published.h)
  std::string measured_rows;  // "WSE-2", "WSE-3" or "none": the chip whose published rows stand beside this device's figures

  std::vector<std::string> sources;  // of each field, in the order of device_rows()
};

// A field as `waferllm devices` prints it. assumed: the source says so, nobody measured or published it. used: something that is told
// depends on it.
struct DeviceRow {
  std::string name;
  std::string value;
  std::string unit;
  std::string source;
  bool assumed = false;
  bool used = true;
};

// Reads a device by name ("wse2": looked up in device_folders()) or by path (anything with a '/' or that ends in ".toml").
// Throws Error for an unknown device, naming those that exist, and for a file that breaks a rule, naming file, key and line.
Device load_device(const std::string& name_or_path);

// The same from text. `file` is only for messages.
Device parse_device(std::string_view toml, const std::string& name, const std::string& file);

// Names that load_device knows, sorted.
std::vector<std::string> list_devices();

// Existing folders with device files, first hit wins: data_folders(); the environment variable WAFERLLM_DEVICES replaces them.
std::vector<std::string> device_folders();

// Every number of the device, in the order of the struct.
std::vector<DeviceRow> device_rows(const Device& device);

// One number of the device. Requires: `field` is the name of a number (not of a list or a word).
double device_field(const Device& device, std::string_view field);

// Sets one number, as an option of the command line does (--clock, --code-bytes). `where` names the option and becomes the source.
// Throws Error if the value is outside the field's limits. Requires: `field` is the name of a number (not of a list or a word).
void set_device_field(Device& device, std::string_view field, double value, const std::string& where);

// What buffers may use of a core's SRAM.
inline int64_t data_bytes_per_core(const Device& device) { return device.sram_bytes_per_core - device.code_and_system_bytes; }

}  // namespace wafer
