// Devices as tables: the main numbers of several, or every number of one with unit and source.
#pragma once
#include <string>
#include <vector>

#include "device/device.h"

namespace wafer {

std::string devices_text(const std::vector<Device>& devices);
std::string devices_json(const std::vector<Device>& devices);  // one line, like all JSON here
std::string device_text(const Device& device);
std::string device_json(const Device& device);

}  // namespace wafer
