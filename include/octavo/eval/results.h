/// What a comparison measured: the contents of results.json (schema 1) and of the report.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "octavo/quantize/layer_choices.h"
#include "octavo/quantize/layer_quality.h"
#include "octavo/runtime/latency.h"
#include "octavo/train/epoch_record.h"

namespace octavo {

/// A model's answers on the test split.
struct Accuracy {
  std::int64_t images = 0;
  std::int64_t correct = 0;
  std::vector<std::int64_t> class_images;            ///< By true class.
  std::vector<std::int64_t> class_correct;           ///< By true class.
  std::vector<std::vector<std::int64_t>> confusion;  ///< [true][predicted]
  std::vector<std::int32_t> predictions;             ///< By image; not written to results.json.
  double value() const {
    return images == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(images);
  }
};

struct Variant {
  std::string name;       ///< "base", "ptq", "qat"
  std::string precision;  ///< "fp32", "int8", "int8 (w4a4, first and last layer w8a8)"
  Accuracy accuracy;
  std::string file;  ///< Relative to the run directory.
  std::int64_t size_bytes = 0;
  std::vector<Latency> latency;
  double agreement_with_base = 1;  ///< Fraction of test images with the same top-1 class as the base model.
  std::vector<LayerQuality> layers = {};  ///< Of the PTQ variant: what its quantization costs layer by layer.
  LayerChoices choices = {};              ///< What its file says of single layers: float32 and seven bits.
};

struct Results {
  int schema = 1;
  std::string dataset;
  std::string dataset_note;  ///< Empty for the official files, else one sentence saying that they are not.
  std::int64_t train_images = 0;
  std::int64_t test_images = 0;
  std::vector<std::string> class_names;
  std::string model;
  std::int64_t parameters = 0;
  std::int64_t macs = 0;
  std::map<std::string, std::string>
      environment;  ///< cpu, isa, cores, threads, os, compiler, library versions, ...
  std::map<std::string, std::string> settings;  ///< The resolved configuration, flat.
  /// What each phase of a run ("data", "train", "ptq", "qat") was made with: settings, hashes of what it read
  /// and, once it is finished, of the file it wrote. Empty: not known.
  std::map<std::string, std::map<std::string, std::string>> phases = {};
  std::vector<Variant> variants;
  std::map<std::string, double> timing;  ///< "train_s", "ptq_s", "qat_s", "eval_s", "total_s"
  std::vector<EpochRecord> history;
  std::vector<std::string>
      notes;  ///< What a reader must know: calibration images also in the test set, fallbacks.
};

}  // namespace octavo
