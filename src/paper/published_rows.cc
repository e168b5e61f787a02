// What the paper printed, for the rows of it that we may use. Source: WaferLLM (He et al., OSDI'25, arXiv 2502.04563), tables 2 to 6 and 8.
#include "paper/published_rows.h"

#include <array>

namespace wafer {
namespace {

constexpr RowUse kFit = RowUse::calibration, kShow = RowUse::reference;

// clang-format off
constexpr std::array kRows = {
    PublishedRow{"2", "LLaMA3-8B", "WaferLLM", "WSE-2", "in2048/out128", "TPR tok/s e2e", 764.4, kFit},
    PublishedRow{"2", "LLaMA3-8B", "WaferLLM", "WSE-2", "in2048/out2048", "TPR tok/s e2e", 2370.3, kFit},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x1", "in2048/out128", "TPR", 34.8, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x1", "in4096/out128", "TPR", 31.1, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x1", "in2048/out2048", "TPR", 36.5, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x1", "in4096/out4096", "TPR", 78.4, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x8", "in2048/out128", "TPR", 117.2, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x8", "in4096/out128", "TPR", 109.0, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x8", "in2048/out2048", "TPR", 128.4, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x8", "in4096/out4096", "TPR", 256.1, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x16", "in2048/out128", "TPR", 73.7, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x16", "in4096/out128", "TPR", 70.2, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x16", "in2048/out2048", "TPR", 79.3, kShow},
    PublishedRow{"2", "LLaMA3-8B", "SGLang", "A100x16", "in4096/out4096", "TPR", 162.5, kShow},
    PublishedRow{"3", "LLaMA3-8B", "WaferLLM", "WSE-2", "480x480", "prefill tok/s at 4096", 20320.6, kFit},
    PublishedRow{"3", "LLaMA3-8B", "WaferLLM", "WSE-2", "600x600", "prefill tok/s at 4096", 25037.2, kFit},
    PublishedRow{"3", "LLaMA3-8B", "WaferLLM", "WSE-2", "720x720", "prefill tok/s at 4096", 27686.5, kFit},
    PublishedRow{"3", "LLaMA3-8B", "T10", "WSE-2", "480x480", "prefill tok/s at 4096", 175.0, kFit},
    PublishedRow{"3", "LLaMA3-8B", "T10", "WSE-2", "600x600", "prefill tok/s at 4096", 156.6, kFit},
    PublishedRow{"3", "LLaMA3-8B", "T10", "WSE-2", "720x720", "prefill tok/s at 4096", 132.8, kFit},
    PublishedRow{"3", "LLaMA3-8B", "Ladder", "WSE-2", "480x480", "prefill tok/s at 4096", 61.8, kFit},
    PublishedRow{"3", "LLaMA3-8B", "Ladder", "WSE-2", "600x600", "prefill tok/s at 4096", 42.3, kFit},
    PublishedRow{"3", "LLaMA3-8B", "Ladder", "WSE-2", "720x720", "prefill tok/s at 4096", 31.3, kFit},
    PublishedRow{"4", "LLaMA3-8B", "WaferLLM", "WSE-2", "420x420", "decode tok/s", 2699.9, kFit},
    PublishedRow{"4", "LLaMA3-8B", "WaferLLM", "WSE-2", "540x540", "decode tok/s", 2501.5, kFit},
    PublishedRow{"4", "LLaMA3-8B", "WaferLLM", "WSE-2", "660x660", "decode tok/s", 2243.3, kFit},
    PublishedRow{"4", "LLaMA3-8B", "T10", "WSE-2", "420x420", "decode tok/s", 418.3, kFit},
    PublishedRow{"4", "LLaMA3-8B", "T10", "WSE-2", "540x540", "decode tok/s", 339.4, kFit},
    PublishedRow{"4", "LLaMA3-8B", "T10", "WSE-2", "660x660", "decode tok/s", 265.1, kFit},
    PublishedRow{"4", "LLaMA3-8B", "Ladder", "WSE-2", "420x420", "decode tok/s", 14.6, kFit},
    PublishedRow{"4", "LLaMA3-8B", "Ladder", "WSE-2", "540x540", "decode tok/s", 13.1, kFit},
    PublishedRow{"4", "LLaMA3-8B", "Ladder", "WSE-2", "660x660", "decode tok/s", 11.4, kFit},
    PublishedRow{"5", "LLaMA3-8B", "concat (PagedAttention)", "WSE-2", "decode config of 7.1", "max decode output tokens", 382, kFit},
    PublishedRow{"5", "LLaMA3-8B", "shift (WaferLLM)", "WSE-2", "decode config of 7.1", "max decode output tokens", 137548, kFit},
    PublishedRow{"6", "GEMV 16K", "MeshGEMV", "WSE-2", "[1x16K]x[16Kx16K]", "ms", 0.0012, kFit},
    PublishedRow{"6", "GEMV 16K", "SGLang TP", "A100x1", "[1x16K]x[16Kx16K]", "ms", 0.336, kShow},
    PublishedRow{"6", "GEMV 16K", "SGLang TP", "A100x8", "[1x16K]x[16Kx16K]", "ms", 0.253, kShow},
    PublishedRow{"6", "GEMV 16K", "SGLang TP", "A100x16", "[1x16K]x[16Kx16K]", "ms", 0.340, kShow},
    PublishedRow{"6", "GEMV 32K", "SGLang TP", "A100x1", "[1x32K]x[32Kx32K]", "ms", 1.231, kShow},
    PublishedRow{"6", "GEMV 32K", "SGLang TP", "A100x8", "[1x32K]x[32Kx32K]", "ms", 0.341, kShow},
    PublishedRow{"6", "GEMV 32K", "SGLang TP", "A100x16", "[1x32K]x[32Kx32K]", "ms", 0.339, kShow},
    PublishedRow{"6", "GEMV 16K", "energy", "A100x1/WSE-2", "", "ratio", 7.47, kFit},
    PublishedRow{"8", "LLaMA3-8B", "energy decode", "A100x1/WSE-2", "", "ratio", 0.92, kFit},
};
// clang-format on

}  // namespace

std::span<const PublishedRow> published_rows() { return kRows; }

}  // namespace wafer
