#include <fmt/format.h>

#include <cmath>

#include "comparison.h"
#include "format.h"

namespace octavo::report {
namespace {

std::string described(const Variant& variant) {
  if (variant.choices.guard && variant.choices.guard->all_float)
    return fmt::format("{}, left in float32 by the latency guard,", display_name(variant.name));
  const std::string how = variant.name == "ptq"   ? "Quantized after training (PTQ)"
                          : variant.name == "qat" ? "Fine-tuned while quantized (QAT)"
                                                  : display_name(variant.name);
  return variant.precision.empty() ? how : fmt::format("{}, the {} model", how, variant.precision);
}

std::string accuracy_sentence(const Variant& variant, const Variant& base) {
  const std::string accuracy = percent(variant.accuracy.value());
  const double difference = (variant.accuracy.value() - base.accuracy.value()) * 100;
  // Compared as shown: what prints as 0.00 is no difference to a reader.
  if (std::abs(difference) < 0.005)
    return fmt::format("{} has the base's accuracy, {}", described(variant), accuracy);
  return fmt::format("{} reaches {}, {:.2f} points {} the base", described(variant), accuracy,
                     std::abs(difference), difference < 0 ? "below" : "above");
}

std::string size_sentence(const Variant& variant, const Variant& base) {
  const double ratio = static_cast<double>(variant.size_bytes) / static_cast<double>(base.size_bytes);
  if (std::abs(ratio - 1) < 0.0005) return "its file is as large";
  return fmt::format("its file is {:.1f} % {}", std::abs(ratio - 1) * 100, ratio < 1 ? "smaller" : "larger");
}

std::string speed_sentence(const Latency& variant, const Latency& base) {
  const double ratio = base.median_ms / variant.median_ms;
  const std::string batch =
      variant.batch == 1 ? "a single image" : fmt::format("a batch of {}", variant.batch);
  if (std::abs(ratio - 1) < 0.005) return fmt::format("{} takes as long", batch);
  const std::string times =
      fmt::format("({} instead of {})", milliseconds(variant.median_ms), milliseconds(base.median_ms));
  const double factor = ratio > 1 ? ratio : 1 / ratio;
  return fmt::format("{} {} {:.{}f} times as {} {}", batch, ratio > 1 ? "runs" : "takes", factor,
                     factor < 10 ? 2 : 1, ratio > 1 ? "fast" : "long", times);
}

std::string base_sentence(const Variant& base) {
  std::string text = has_accuracy(base)
                         ? fmt::format("The {} model classifies {} of {} test images correctly ({}).",
                                       base.precision.empty() ? display_name(base.name) : base.precision,
                                       grouped(base.accuracy.correct), grouped(base.accuracy.images),
                                       percent(base.accuracy.value()))
                         : fmt::format("The {} model was not tested on images.",
                                       base.precision.empty() ? display_name(base.name) : base.precision);
  if (base.size_bytes > 0) text += fmt::format(" Its file takes {}.", bytes(base.size_bytes));
  return text;
}

/// The batch both were timed at that is largest: where throughput counts.
const Latency* largest_common(const Variant& variant, const Variant& base) {
  const Latency* best = nullptr;
  for (const Latency& latency : variant.latency) {
    const Latency* other = latency_at(base, latency.batch);
    const bool usable = other != nullptr && latency.median_ms > 0 && other->median_ms > 0 &&
                        std::isfinite(latency.median_ms) && std::isfinite(other->median_ms);
    if (usable && (best == nullptr || latency.batch > best->batch)) best = &latency;
  }
  return best;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += i + 1 == parts.size() ? (parts.size() > 2 ? ", and " : " and ") : ", ";
    text += parts[i];
  }
  return text;
}

}  // namespace

std::string verdict(const Results& results) {
  const Variant* base = base_of(results);
  if (base == nullptr) return "Nothing was compared: there is no model in these results.";
  std::string text = base_sentence(*base);
  for (const Variant& variant : results.variants) {
    if (&variant == base) continue;
    std::vector<std::string> parts;
    if (has_accuracy(variant) && has_accuracy(*base)) parts.push_back(accuracy_sentence(variant, *base));
    if (variant.size_bytes > 0 && base->size_bytes > 0) parts.push_back(size_sentence(variant, *base));
    if (const Latency* latency = largest_common(variant, *base)) {
      parts.push_back(speed_sentence(*latency, *latency_at(*base, latency->batch)));
    }
    if (parts.empty()) continue;
    if (!has_accuracy(variant) || !has_accuracy(*base))
      parts.front() = fmt::format("{}: {}", described(variant), parts.front());
    text += fmt::format(" {}.", joined(parts));
  }
  return text;
}

}  // namespace octavo::report
