// hostcallctl top: the VMs and what they do, again and again.
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/pages.h"
#include "client/hostcallctl/screen.h"
#include "client/hostcallctl/top_table.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"

namespace hostcall::cli::host {
namespace {

constexpr char kHelp[] = R"(Shows what each VM does now: its state, connections, calls, denied calls and bytes
per second, the time that half and 99 % of its unary calls did not exceed, the memory
of hostcalld that it uses, and the limit of which it has used most. On a terminal, the
table is renewed until q or Ctrl-C; these keys sort and filter it:

n name, o connections, c calls, d denied, b bytes, p p99, m memory, l limit; / a text
that name or tag contains, Esc all VMs, a all or only those with a connection.

Elsewhere, prints the table once, or --count times. The first table has the rates of
the last 5 to 10 seconds, the others those since the table before. With --json, one
line for each table. -q leaves out the summary.
)";

constexpr char kExamples[] = R"(  hostcallctl top
  hostcallctl top --sort denied --filter web
  hostcallctl top --count 1 --json | jq '.vms[] | select(.nearestUsed > 0.9)'
)";

constexpr milliseconds kInterval = seconds(2);
// Beside the rows: summary, heading, the line of keys.
constexpr std::size_t kOtherLines = 4;
constexpr char kEscape = '\x1b';

class Top : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--sort", "BY", sort_, "One of: " + std::string(TopTable::kSortNames) + "; default calls.");
    arguments.not_empty();
    arguments.option("--filter", "TEXT", table_.filter, "Only VMs whose name or tag contains it.");
    arguments.flag("--connected", table_.only_connected, "Only VMs with a connection.");
    arguments.option("-n,--count", "N", count_, {1, UINT64_MAX}, "End after so many tables.");
    arguments.option("-i,--interval", interval_, {milliseconds(100), kMaxDuration}, "Between two tables; default 2s.");
  }
  ExitCode run(Invocation& invocation) override {
    const auto sort = TopTable::sort_of(sort_);
    if (!sort) throw usage("--sort " + in_quotes(sort_) + ": sort by " + std::string(TopTable::kSortNames));
    table_.sort = *sort;
    invocation.last();
    update(invocation);  // before the terminal is taken, so that a failure is seen
    if (prints_to_terminal() && !invocation.json())
      show_live(invocation);
    else
      print_tables(invocation);
    return ExitCode::kDone;
  }

 private:
  void update(Invocation& invocation) {
    table_.begin(Clock::now());
    each_page<v1::Admin::VmList>(invocation, {}, [this](const v1::VmListResponse& page, bool) {
      for (const auto& vm : page.vms()) table_.take(vm);
    });
    table_.finish();
    ++shown_;
  }
  bool is_enough() const { return count_ && shown_ >= *count_; }

  void print_tables(Invocation& invocation) {
    if (!count_) count_ = 1;
    const Interrupt interrupt{SIGINT, SIGTERM, SIGHUP};
    for (;;) {
      if (invocation.json())
        print_line(table_.to_json());
      else
        print((invocation.quiet() ? "" : table_.summary() + "\n") + table_.to_text());
      if (is_enough()) return;
      pause(invocation, interrupt, nullptr);
      update(invocation);
    }
  }

  void show_live(Invocation& invocation) {
    const Interrupt interrupt{SIGINT, SIGTERM, SIGHUP};
    Screen screen;
    for (;;) {
      show(invocation, screen);
      if (is_enough() || !pause(invocation, interrupt, &screen)) return;
      update(invocation);
    }
  }

  void show(const Invocation& invocation, const Screen& screen) const {
    const auto rows = screen.rows();
    auto page = (invocation.quiet() ? "" : table_.summary() + "\n\n") +
                table_.to_text(rows > kOtherLines ? rows - kOtherLines : 1);
    if (is_typing_ || !table_.filter.empty()) page += "filter: " + printable(table_.filter) + (is_typing_ ? "_" : "");
    screen.show(page);
  }

  // Waits for the next table. False: the user ends. Throws SignalEnd.
  bool pause(Invocation& invocation, const Interrupt& interrupt, Screen* screen) {
    const auto until = std::min(Clock::now() + interval_, invocation.deadline());
    while (Clock::now() < until) {
      const int keyboard = screen == nullptr ? -1 : screen->keyboard();
      if (turn(invocation.client(), {interrupt, true, keyboard}, until))
        if (const int number = interrupt.take(); number != 0) throw SignalEnd{number};
      if (screen == nullptr) continue;
      const auto keys = screen->keys();
      if (keys.empty()) continue;
      for (const char key : keys)
        if (!take_key(key)) return false;
      show(invocation, *screen);
    }
    if (until == invocation.deadline()) throw Failure{ExitCode::kDeadline, "the time of --timeout is over"};
    return true;
  }

  // False: it ends.
  bool take_key(char key) {
    if (is_typing_) return type(key), true;
    if (key == 'q') return false;
    if (key == '/') {
      is_typing_ = true;
      table_.filter.clear();
    } else if (key == kEscape) {
      table_.filter.clear();
    } else if (key == 'a') {
      table_.only_connected = !table_.only_connected;
    } else if (const auto sort = TopTable::sort_of_key(key)) {
      table_.sort = *sort;
    }
    return true;
  }
  void type(char key) {
    constexpr char kBackspace = '\x7f';
    if (key == '\n' || key == '\r') {
      is_typing_ = false;
    } else if (key == kEscape) {
      is_typing_ = false;
      table_.filter.clear();
    } else if (key == kBackspace) {
      if (!table_.filter.empty()) table_.filter.pop_back();
    } else if (key >= ' ') {
      table_.filter += key;
    }
  }

  TopTable table_;
  std::string sort_ = "calls";
  milliseconds interval_ = kInterval;
  std::optional<std::uint64_t> count_;
  std::uint64_t shown_ = 0;
  bool is_typing_ = false;
};

}  // namespace

const VerbEntry kTop{"top", "show what each VM does now", kHelp, kExamples,
                     []() -> std::unique_ptr<Verb> { return std::make_unique<Top>(); }};

}  // namespace hostcall::cli::host
