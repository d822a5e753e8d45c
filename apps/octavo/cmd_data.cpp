// octavo data: finds (or downloads) a data set, checks it, and says what it is.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "json_text.h"
#include "octavo/report/text.h"
#include "workflow.h"

namespace octavo::app {
namespace {

std::vector<std::int64_t> class_counts(const Dataset& split) {
  std::vector<std::int64_t> counts(split.class_names.size());
  for (const std::int32_t label : split.labels) ++counts.at(static_cast<std::size_t>(label));
  return counts;
}

}  // namespace

void cmd_data(Session& session) {
  const LoadedData data = load_data(session);
  const Dataset& train = data.pair.train;
  const Dataset& test = data.pair.test;
  std::vector<std::int64_t> all(static_cast<std::size_t>(train.size()));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  const std::int64_t shared = count_shared_images(train, all, test);
  session.console.clear();
  if (session.json) {
    const auto split = [](const Dataset& d) {
      return nlohmann::ordered_json{
          {"images", d.size()}, {"class_images", class_counts(d)}, {"sha256", d.hash}};
    };
    const nlohmann::ordered_json answer{{"schema", 1},
                                        {"dataset", train.name},
                                        {"source", train.source},
                                        {"official", train.official && test.official},
                                        {"image", {train.channels, train.height, train.width}},
                                        {"classes", train.class_names},
                                        {"train", split(train)},
                                        {"test", split(test)},
                                        {"train_images_in_test", shared}};
    std::printf("%s\n", json_text(answer).c_str());
    return;
  }
  const std::string note = origin_note(data.pair);
  std::printf("%s, from %s\n", train.name.c_str(), train.source.c_str());
  std::printf("%s\n", train.name == "image-folder" ? "Your own images."
                      : note.empty()               ? "The official files."
                                                   : note.c_str());
  std::printf("images of %lld x %lld x %lld (channels, height, width)\n",
              static_cast<long long>(train.channels), static_cast<long long>(train.height),
              static_cast<long long>(train.width));
  for (const Dataset* split : {&train, &test}) {
    std::printf("%-5s %6lld images, SHA-256 %s\n", split->split.c_str(),
                static_cast<long long>(split->size()), split->hash.c_str());
  }
  const auto train_counts = class_counts(train);
  const auto test_counts = class_counts(test);
  std::size_t widest = 14;
  for (const std::string& name : train.class_names) widest = std::max(widest, report::text_width(name));
  for (std::size_t c = 0; c < train_counts.size(); ++c) {
    std::printf("  %s %6lld train, %6lld test\n", report::padded_right(train.class_names[c], widest).c_str(),
                static_cast<long long>(train_counts[c]), static_cast<long long>(test_counts[c]));
  }
  std::printf("%lld training images have exactly the pixels of a test image.\n",
              static_cast<long long>(shared));
}

}  // namespace octavo::app
