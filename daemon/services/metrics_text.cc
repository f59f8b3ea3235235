#include "daemon/services/metrics_text.h"

#include <charconv>
#include <cmath>
#include <utility>

namespace hostcall::daemon {
namespace {

using Kind = Metric::Kind;

// Whole numbers up to here are exact, and written without an exponent.
constexpr double kExact = 9007199254740992;

std::string text_of(double value) {
  char text[32];
  const bool is_whole = std::abs(value) < kExact && value == std::floor(value);
  const auto end = is_whole ? std::to_chars(text, text + sizeof text, static_cast<std::int64_t>(value))
                            : std::to_chars(text, text + sizeof text, value, std::chars_format::general);
  return {text, end.ptr};
}

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

class Writer final : public Samples {
 public:
  Writer(const Metric& metric, MetricsFormat format, std::string& out)
      : family_(family_name(metric)), kind_(metric.kind), open_(format == MetricsFormat::kOpenMetrics), out_(out) {
    // OpenMetrics names the family, the other format the samples.
    const auto name = kind_ == Kind::kCounter && !open_ ? family_ + "_total" : family_;
    constexpr const char* kTypes[] = {" counter\n", " gauge\n", " histogram\n"};
    out_.append("# HELP ").append(name).append(1, ' ').append(metric.help).append("\n");
    out_.append("# TYPE ").append(name).append(kTypes[static_cast<std::size_t>(kind_)]);
  }

  void add(Labels labels, double value) override {
    put(kind_ == Kind::kCounter ? "_total" : "", labels, {}, text_of(value));
  }

  void add(Labels labels, const DurationHistogram& histogram) override {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < DurationHistogram::kBounds.size(); ++i) {
      count += histogram.buckets()[i];
      put("_bucket", labels, bound_text(DurationHistogram::kBounds[i]), std::to_string(count));
    }
    count += histogram.buckets().back();
    put("_bucket", labels, "+Inf", std::to_string(count));
    put("_sum", labels, {}, text_of(seconds_of(histogram.sum())));
    put("_count", labels, {}, std::to_string(count));
  }

 private:
  // OpenMetrics has bounds always with a point or an exponent.
  std::string bound_text(Duration bound) const {
    auto text = text_of(seconds_of(bound));
    if (open_ && text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
  }

  void put(std::string_view suffix, Labels labels, std::string_view bound, const std::string& value) {
    out_.append(family_).append(suffix);
    char before = '{';
    for (const auto& label : labels) put_label(std::exchange(before, ','), label);
    if (!bound.empty()) put_label(std::exchange(before, ','), {"le", bound});
    if (before == ',') out_ += '}';
    out_.append(1, ' ').append(value).append(1, '\n');
  }

  void put_label(char before, const Label& label) {
    out_.append(1, before).append(label.name).append("=\"");
    for (const char c : label.value) {
      if (c == '\n') {
        out_ += "\\n";
        continue;
      }
      if (c == '\\' || c == '"') out_ += '\\';
      out_ += c;
    }
    out_ += '"';
  }

  const std::string family_;
  const Kind kind_;
  const bool open_;
  std::string& out_;
};

}  // namespace

std::string family_name(const Metric& metric) {
  return (metric.name.starts_with("process_") ? "" : "hostcall_") + std::string(metric.name);
}

bool MetricsText::append_next(std::string& out) {
  const auto metrics = all_metrics();
  if (next_ > metrics.size()) return false;
  const auto at = next_++;
  if (at == metrics.size()) {
    if (format_ == MetricsFormat::kPrometheus) return false;
    out += "# EOF\n";
    return true;
  }
  Writer writer(metrics[at], format_, out);
  metrics[at].read(sources_, writer);
  return true;
}

}  // namespace hostcall::daemon
