// waferllm devices: the devices there are, or every number of one with its unit and source.
#include "cli/commands.h"
#include "cli/output.h"
#include "device/device.h"
#include "report/device_report.h"

namespace wafer::cli {

void devices_command(const DevicesArguments& a) {
  if (a.name) {
    const Device device = load_device(*a.name);
    return write_out(a.json ? device_json(device) + "\n" : device_text(device));
  }
  std::vector<Device> devices;
  for (const std::string& name : list_devices()) devices.push_back(load_device(name));
  write_out(a.json ? devices_json(devices) + "\n" : devices_text(devices));
}

}  // namespace wafer::cli
