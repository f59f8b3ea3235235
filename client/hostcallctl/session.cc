// hostcallctl session: lists and closes the open sessions of VMs and administrators.
#include "client/cli/duration.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/pages.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kListHelp[] = R"(Lists the open sessions by id: who is connected, from where, for how long, and
with how many calls and bytes. VM @admin is an administrator's connection, such
as this one. With -q, prints only the ids.
)";

constexpr char kListExamples[] = R"(  hostcallctl session list --vm web1
)";

constexpr char kCloseHelp[] = R"(Ends one session. Its client may reconnect at once: to keep a VM out, remove it
or change the policy. With -q, prints nothing.
)";

constexpr char kCloseExamples[] = R"(  hostcallctl session close 17
)";

class SessionTable {
 public:
  std::string text_of(const v1::SessionListResponse& page) {
    for (const auto& session : page.sessions())
      table_.add({std::to_string(session.id()), session.vm(), session.peer(),
                  session.client().empty() ? "(plain ttrpc)" : session.client(),
                  format_duration(nanoseconds(session.age_nano())), format_duration(nanoseconds(session.idle_nano())),
                  std::to_string(session.calls()), std::to_string(session.streams()), format_bytes(session.bytes_in()),
                  format_bytes(session.bytes_out())});
    return table_.flush();
  }

 private:
  Table table_{{">ID", "VM", "PEER", "CLIENT", ">AGE", ">IDLE", ">CALLS", ">OPEN", ">IN", ">OUT"}};
};

std::string ids_of(const v1::SessionListResponse& list) {
  std::string ids;
  for (const auto& session : list.sessions()) ids += std::to_string(session.id()) + "\n";
  return ids;
}

class SessionList : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--vm", "NAME", vm_, "List only the sessions of this VM, or of @admin.");
    arguments.not_empty();
  }
  ExitCode run(Invocation& invocation) override {
    v1::SessionListRequest request;
    request.set_vm(vm_);
    SessionTable table;
    show_pages<v1::Admin::SessionList>(invocation, request, "sessions", [&](const v1::SessionListResponse& page) {
      return invocation.quiet() ? ids_of(page) : table.text_of(page);
    });
    return ExitCode::kDone;
  }

 private:
  std::string vm_;
};

class SessionClose : public Verb {
 public:
  void declare(Arguments& arguments) override { arguments.positional("ID", id_, "As session list shows it."); }
  ExitCode run(Invocation& invocation) override {
    v1::SessionCloseRequest request;
    request.set_id(id_);
    invocation.confirm(invocation.call<v1::Admin::SessionClose>(request),
                       "session " + std::to_string(id_) + " closed\n");
    return ExitCode::kDone;
  }

 private:
  std::uint64_t id_ = 0;
};

}  // namespace

const VerbEntry kSessionList{"session list", "list who is connected", kListHelp, kListExamples,
                             []() -> std::unique_ptr<Verb> { return std::make_unique<SessionList>(); }};
const VerbEntry kSessionClose{"session close", "end one session", kCloseHelp, kCloseExamples,
                              []() -> std::unique_ptr<Verb> { return std::make_unique<SessionClose>(); }};

}  // namespace hostcall::cli::host
