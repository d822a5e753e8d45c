/// The phases that commands are made of: data, training, PTQ, QAT, measuring. Each reads its input from the
/// file that the phase before wrote, so a resumed run and an uninterrupted one do the same.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "octavo/data/dataset.h"
#include "octavo/eval/results.h"
#include "octavo/graph/graph.h"
#include "octavo/runtime/runtime.h"
#include "session.h"

namespace octavo::app {

struct LoadedData {
  DatasetPair pair;
  std::vector<std::string> notes;    ///< What a reader of results must know: a stand-in data set, limits.
  bool normalization_asked = false;  ///< By --mean and --std: it wins over a model's own.
};

/// The data set that the settings name; "auto", what lies there, where a place alone is given.
std::string requested_dataset(const Session& session);

/// Finds and reads the data set of the settings, cut to the limits.
LoadedData load_data(const Session& session);
/// As above, by default the data set that `model` was made from, or, where the model does not say and a
/// folder was given, whatever lies there. Images of a folder come in the size of the model's input, and of
/// them the splits asked for alone, test images without classes if nobody asks for `labels`. Says which
/// normalization is assumed where neither the model nor the command line has one.
LoadedData load_data_for(const Session& session, const Graph& model,
                         WantedSplits splits = WantedSplits::kBoth, bool labels = true);

/// Writes how a model came to be into its metadata. Paths, threads and times stay out: the same run gives the
/// same file.
void stamp(Graph& graph, const Session& session, const LoadedData& data, const std::string& variant,
           Command phases);

/// One sentence if the files are not the official ones, else empty.
std::string origin_note(const DatasetPair& pair);

/// Where epochs and steps go besides the console.
struct TrainSinks {
  std::function<void(const TrainProgress&)> on_step;
  std::function<void(const EpochRecord&)> on_epoch;
};

/// Trains a new model of the zoo. The graph carries its metadata.
TrainResult train_base(const Session& session, const LoadedData& data,
                       const std::filesystem::path& checkpoint, const TrainSinks& sinks);

struct QuantizedPtq {
  Graph graph;
  std::int64_t calibration_images = 0;
  std::int64_t shared_images = 0;  ///< Calibration images whose pixels also occur in the test split.
};
QuantizedPtq make_ptq(const Session& session, const LoadedData& data, const Graph& base);
/// One sentence on shared images, or empty.
std::string leakage_note(const QuantizedPtq& ptq);

/// Which training images PTQ calibrates on.
std::vector<std::int64_t> calibration_images(const Session& session, const LoadedData& data);

/// What quantizing `base` to `ptq` costs each layer, on the first calibration images.
std::vector<LayerQuality> layer_quality(const Session& session, const LoadedData& data, const Graph& base,
                                        const Graph& ptq);

/// Fine-tunes `base` from the ranges of `ptq`.
QatResult make_qat(const Session& session, const LoadedData& data, const Graph& base, const Graph& ptq,
                   const std::filesystem::path& checkpoint, const TrainSinks& sinks);

/// Normalization of a model: what was asked for, else its own, else the data set's.
Normalization normalization_of(const Graph& model, const LoadedData& data);

/// Reads `path` back and measures accuracy and size with the runtime.
Variant evaluate_file(const Session& session, const LoadedData& data, const std::filesystem::path& path,
                      const std::string& name);

/// Latencies of the models, in turns, at each batch size of the settings: [model][batch size].
std::vector<std::vector<Latency>> measure_all(const Session& session, const std::vector<Graph>& models);

/// Seconds that `work` takes.
double timed(const std::function<void()>& work);

}  // namespace octavo::app
