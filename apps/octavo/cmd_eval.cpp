// octavo eval FILE.onnx...: accuracy of model files on the test split, by the runtime.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "json_text.h"
#include "model_files.h"
#include "octavo/eval/evaluate.h"
#include "octavo/onnx/onnx.h"
#include "octavo/report/text.h"
#include "workflow.h"

namespace octavo::app {

void cmd_eval(Session& session) {
  const LoadedData data =
      load_data_for(session, load_model(session, session.files.front()), WantedSplits::kTest);
  const Dataset& test = data.pair.test;
  std::vector<Variant> variants;
  for (const auto& file : session.files) {
    variants.push_back(evaluate_file(session, data, file, file.stem().string()));
    variants.back().file = file.string();
  }
  session.console.clear();
  if (session.json) {
    nlohmann::ordered_json models = nlohmann::ordered_json::array();
    for (const Variant& v : variants) {
      models.push_back({{"file", v.file},
                        {"precision", v.precision},
                        {"accuracy", v.accuracy.value()},
                        {"correct", v.accuracy.correct},
                        {"images", v.accuracy.images},
                        {"class_correct", v.accuracy.class_correct},
                        {"class_images", v.accuracy.class_images},
                        {"size_bytes", v.size_bytes},
                        {"agreement_with_first", agreement(variants.front().accuracy, v.accuracy)}});
    }
    const nlohmann::ordered_json answer{{"schema", 1},
                                        {"dataset", test.name},
                                        {"official", test.official},
                                        {"classes", test.class_names},
                                        {"threads", session.settings.threads},
                                        {"models", models}};
    std::printf("%s\n", json_text(answer).c_str());
    return;
  }
  if (const std::string note = origin_note(data.pair); !note.empty()) session.console.line(note);
  for (const Variant& v : variants) {
    std::printf("%s: %s, accuracy %.2f %% (%lld of %lld), %s", v.file.c_str(), v.precision.c_str(),
                100 * v.accuracy.value(), static_cast<long long>(v.accuracy.correct),
                static_cast<long long>(v.accuracy.images),
                bytes_text(static_cast<std::uint64_t>(v.size_bytes)).c_str());
    if (variants.size() > 1) {
      std::printf(", same class as the first on %.2f %%",
                  100 * agreement(variants.front().accuracy, v.accuracy));
    }
    std::printf("\n");
    std::size_t widest = 14;
    for (const std::string& name : test.class_names) widest = std::max(widest, report::text_width(name));
    for (std::size_t c = 0; variants.size() == 1 && c < v.accuracy.class_images.size(); ++c) {
      const std::string name =
          report::padded_right(c < test.class_names.size() ? test.class_names[c] : std::to_string(c), widest);
      const auto images = static_cast<double>(v.accuracy.class_images[c]);
      if (images > 0) {
        std::printf("  %s %6.2f %%\n", name.c_str(),
                    100 * static_cast<double>(v.accuracy.class_correct[c]) / images);
      } else {
        std::printf("  %s      -    (no images)\n", name.c_str());
      }
    }
  }
}

}  // namespace octavo::app
