#include "comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "format.h"

namespace octavo::report {

const Variant* base_of(const Results& results) {
  if (results.variants.empty()) return nullptr;
  const auto found = std::find_if(results.variants.begin(), results.variants.end(),
                                  [](const Variant& variant) { return variant.name == "base"; });
  return found == results.variants.end() ? &results.variants.front() : &*found;
}

const Latency* latency_at(const Variant& variant, std::int64_t batch) {
  const auto found = std::find_if(variant.latency.begin(), variant.latency.end(),
                                  [&](const Latency& latency) { return latency.batch == batch; });
  return found == variant.latency.end() ? nullptr : &*found;
}

std::vector<std::int64_t> batches_of(const Results& results) {
  std::set<std::int64_t> batches;
  for (const Variant& variant : results.variants) {
    for (const Latency& latency : variant.latency) batches.insert(latency.batch);
  }
  return {batches.begin(), batches.end()};
}

bool has_accuracy(const Variant& variant) { return variant.accuracy.images > 0; }

std::string class_name(const Results& results, std::size_t index) {
  return index < results.class_names.size() ? results.class_names[index] : fmt::format("class {}", index);
}

double class_accuracy(const Variant& variant, std::size_t index) {
  const Accuracy& accuracy = variant.accuracy;
  if (index >= accuracy.class_images.size() || index >= accuracy.class_correct.size() ||
      accuracy.class_images[index] <= 0) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return static_cast<double>(accuracy.class_correct[index]) /
         static_cast<double>(accuracy.class_images[index]);
}

std::vector<std::pair<std::string, std::string>> timing_rows(const Results& results) {
  const std::vector<std::pair<std::string, std::string>> known{{"train_s", "Training"},
                                                               {"ptq_s", "Quantization after training"},
                                                               {"qat_s", "Quantization-aware training"},
                                                               {"eval_s", "Evaluation"}};
  std::map<std::string, double> left = results.timing;
  std::vector<std::pair<std::string, std::string>> rows;
  const auto take = [&](const std::string& key, const std::string& label) {
    const auto found = left.find(key);
    if (found == left.end()) return;
    rows.emplace_back(label, duration(found->second));
    left.erase(found);
  };
  for (const auto& [key, label] : known) take(key, label);
  for (const auto& [key, seconds] : results.timing) {
    if (key != "total_s") take(key, key);
  }
  take("total_s", "Everything");
  return rows;
}

ComparisonTable comparison_table(const Results& results) {
  ComparisonTable table;
  const Variant* base = base_of(results);
  if (base == nullptr) return table;
  const bool compared = results.variants.size() > 1;

  enum class Kind : std::uint8_t { kMain, kDetail };
  const auto row = [&](const std::string& label, Kind kind,
                       const std::function<std::string(const Variant&)>& cell) {
    TableRow made{.label = label, .cells = {}, .detail = kind == Kind::kDetail};
    for (const Variant& variant : results.variants) made.cells.push_back(cell(variant));
    const bool says_something = std::any_of(made.cells.begin(), made.cells.end(),
                                            [](const std::string& text) { return !text.empty(); });
    if (says_something) table.rows.push_back(std::move(made));
  };
  const auto row_vs_base = [&](const std::string& label,
                               const std::function<std::string(const Variant&)>& cell) {
    if (compared)
      row(label, Kind::kDetail, [&](const Variant& v) { return &v == base ? std::string() : cell(v); });
  };

  for (const Variant& variant : results.variants) table.header.push_back(display_name(variant.name));
  row("Precision", Kind::kMain, [](const Variant& v) { return v.precision; });
  const auto target = results.settings.find("ptq.target");
  if (target != results.settings.end() && target->second != "any")
    row_vs_base("made for", [&](const Variant&) { return target->second; });
  const auto counted = [](std::int64_t count) { return count == 0 ? std::string() : grouped(count); };
  row("layers in float32", Kind::kDetail, [&](const Variant& v) {
    return v.choices.guard && !v.choices.guard->all_float ? counted(std::ssize(v.choices.guard->layers)) : "";
  });
  row("seven-bit layers", Kind::kDetail, [&](const Variant& v) {
    if (!v.choices.saturation) return std::string();
    return counted(std::ranges::count(v.choices.saturation->layers, true, &LayerSaturation::narrowed));
  });
  row("Accuracy", Kind::kMain,
      [](const Variant& v) { return has_accuracy(v) ? percent(v.accuracy.value()) : kMissing; });
  row_vs_base("vs base", [&](const Variant& v) {
    return has_accuracy(v) && has_accuracy(*base) ? points(v.accuracy.value() - base->accuracy.value())
                                                  : kMissing;
  });
  if (compared) {
    row("Same class as base", Kind::kDetail, [&](const Variant& v) {
      return &v == base        ? std::string()
             : has_accuracy(v) ? percent(v.agreement_with_base)
                               : std::string(kMissing);
    });
  }
  row("File size", Kind::kMain,
      [](const Variant& v) { return v.size_bytes > 0 ? bytes(v.size_bytes) : kMissing; });
  row_vs_base("vs base", [&](const Variant& v) {
    return v.size_bytes > 0 ? change(static_cast<double>(v.size_bytes), static_cast<double>(base->size_bytes))
                            : std::string(kMissing);
  });
  for (const std::int64_t batch : batches_of(results)) {
    const Latency* base_latency = latency_at(*base, batch);
    const auto timed = [&](const std::function<std::string(const Latency&)>& cell) {
      return [&, cell](const Variant& v) {
        const Latency* latency = latency_at(v, batch);
        return latency == nullptr ? std::string(kMissing) : cell(*latency);
      };
    };
    row(fmt::format("Time, batch {}", batch), Kind::kMain,
        timed([](const Latency& l) { return mean_and_std(l.mean_ms, l.std_ms); }));
    row("median", Kind::kDetail, timed([](const Latency& l) { return milliseconds(l.median_ms); }));
    row("images/s", Kind::kDetail, timed([](const Latency& l) { return rate(l.images_per_second); }));
    if (base_latency != nullptr) {
      const std::size_t rows = table.rows.size();
      row_vs_base("speed-up",
                  timed([&](const Latency& l) { return speed_up(base_latency->median_ms, l.median_ms); }));
      if (table.rows.size() == rows) continue;
      for (const Variant& v : results.variants) {
        const Latency* latency = latency_at(v, batch);
        table.rows.back().worse.push_back(&v != base && latency != nullptr &&
                                          latency->median_ms > base_latency->median_ms);
      }
    }
  }
  return table;
}

std::string subject(const Results& results) {
  if (results.model.empty()) return results.dataset.empty() ? "a model" : "A model on " + results.dataset;
  return results.dataset.empty() ? results.model : fmt::format("{} on {}", results.model, results.dataset);
}

}  // namespace octavo::report
