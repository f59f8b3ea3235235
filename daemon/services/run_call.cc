#include "daemon/services/run_call.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "daemon/calls/router.h"
#include "daemon/config/sha256.h"
#include "daemon/handover/incoming.h"
#include "daemon/handover/outgoing.h"
#include "daemon/services/stream_field.h"
#include "hostcall/v1/run.hostcall.h"
#include "proto/base/bounded_text.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

using v1::StartRequest;
using v1::StartResponse;

constexpr std::uint64_t kSignals[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGWINCH};

// The most bytes of the reason of a program's end.
constexpr std::size_t kMaxReason = 1024;

// As of: printf '%s\0' ARGUMENT... | sha256sum
std::string digest_of(const std::vector<std::string>& arguments) {
  std::string text;
  for (const auto& argument : arguments) (text += argument) += '\0';
  return sha256(text);
}

struct Pipe {
  UniqueFd reading, writing;
};

// Our end does not block; the program's does, as programs expect.
Done make_pipe(Pipe& pipe, bool we_read) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno("pipe2");
  pipe = {UniqueFd::adopt(ends[0]), UniqueFd::adopt(ends[1])};
  const int ours = we_read ? pipe.reading.get() : pipe.writing.get();
  if (::fcntl(ours, F_SETFL, O_NONBLOCK) != 0) return Error::from_errno("fcntl");
  return done();
}

}  // namespace

RunCall::RunCall(const HostCallEnvironment& environment, const Method& method, const CallContext& context,
                 Charge memory)
    : HostCall(environment, method, context, std::move(memory)),
      reader_(environment.reactor, context.caller),
      input_(environment.reactor, *this),
      to_program_(input_, context.caller.charge(Resource::kMemory)),
      outputs_{Output{{environment.reactor, *this}, StartResponse::kStdoutDataFieldNumber},
               Output{{environment.reactor, *this}, StartResponse::kStderrDataFieldNumber}} {}

// ---------------------------------------------------------------- from the caller

bool RunCall::parse(std::string_view bytes, Message& message) {
  return for_each_field(bytes, [&](const MessageField& field) {
    switch (field.number) {
      case StartRequest::kServiceFieldNumber: message.service = field.bytes; break;
      case StartRequest::kArgumentsFieldNumber: message.arguments.emplace_back(field.bytes); break;
      case StartRequest::kStdinDataFieldNumber: message.input = field.bytes; break;
      case StartRequest::kStdinEofFieldNumber: message.eof = field.integer != 0; break;
      case StartRequest::kSignalFieldNumber: message.signal = field.integer; break;
      default: break;
    }
    return message.arguments.size() <= kMaxArguments;
  });
}

void RunCall::on_message(std::string_view bytes) {
  if (is_over()) return;
  Message message;
  if (!parse(bytes, message)) return end(unparseable(v1::Run::Start::kFullName));
  if (!check_order(message.service)) return;
  if (!has_service())
    begin(message);
  else if (!message.arguments.empty())
    end({Code::kInvalidArgument, "arguments came after the first message"});
  if (is_over()) return;
  take_input(message, bytes.size());
  if (message.signal != 0 && !is_over())
    if (const auto status = send_signal(message.signal); !status.ok()) end(status);
}

void RunCall::on_remote_closed() {
  if (is_over()) return;
  if (!has_service()) return end({Code::kInvalidArgument, "the call ended before it named a service"});
  input_ended();
}

void RunCall::take_input(const Message& message, std::size_t message_bytes) {
  if (input_eof_ && !message.input.empty()) return end({Code::kInvalidArgument, "input came after stdin_eof"});
  from_caller_ += message.input.size();
  note(to_program_.take(message.input, message_bytes, call(), !started_));
  if (is_over()) return;
  if (message.eof) input_ended();
  watch();
}

void RunCall::input_ended() {
  input_eof_ = true;
  close_input_if_done();
}

void RunCall::close_input_if_done() {
  if (input_eof_ && started_ && to_program_.is_empty()) input_.close();
}

// A program need not read its input.
void RunCall::note(HostWriter::Outcome outcome) {
  switch (outcome) {
    case HostWriter::Outcome::kTaken: return close_input_if_done();
    case HostWriter::Outcome::kNoMemory: return end(no_memory("the program of"));
    case HostWriter::Outcome::kBroken: to_program_.give_up(call()); return input_.close();
  }
}

Status RunCall::send_signal(std::uint64_t signal) {
  if (std::ranges::find(kSignals, signal) == std::end(kSignals))
    return {Code::kInvalidArgument,
            "signal " + std::to_string(signal) + " can't be sent; HUP, INT, QUIT, USR1, USR2, TERM and WINCH can"};
  if (program_ && signals_.take(environment().reactor.now()) == Duration::zero())
    program_->send_signal(static_cast<int>(signal));
  return {};
}

// ---------------------------------------------------------------- the program

Status RunCall::check_kind(const ServiceRecord& found) const {
  if (found.program() != nullptr) return {};
  return {Code::kNotFound, "the service " + in_quotes(found.name) + " is no program but " + found.kind_text() +
                               "; see hostcall " + (found.socket() != nullptr ? "connect" : "call")};
}

void RunCall::begin(const Message& message) {
  if (auto status = use_service(message.service); !status.ok()) return end(status);
  const auto* program = service().program();
  if (const auto checked = check_arguments(*program, message.arguments); !checked.ok())
    return end({Code::kInvalidArgument, "the service " + in_quotes(service().name) + ": " + checked.error().message()});
  if (record) arguments_ = digest_of(message.arguments);
  if (auto status = start_program(message.arguments); !status.ok()) return end(status);
  if (program->timeout > Duration::zero()) timer().set(environment().reactor.now() + program->timeout);
}

Status RunCall::start_program(const std::vector<std::string>& arguments) {
  std::array<Pipe, 3> pipes;
  for (std::size_t i = 0; i < pipes.size(); ++i) {
    if (const auto made = make_pipe(pipes[i], i != 0); !made.ok())
      return {Code::kUnavailable, "hostcalld can't make a pipe: " + made.error().message()};
    if (auto status = check_descriptor(std::max(pipes[i].reading.get(), pipes[i].writing.get())); !status.ok())
      return status;
  }
  input_.open(std::move(pipes[0].writing), HostFd::Kind::kPipe);
  outputs_[0].fd.open(std::move(pipes[1].reading), HostFd::Kind::kPipe);
  outputs_[1].fd.open(std::move(pipes[2].reading), HostFd::Kind::kPipe);
  program_ = environment().runner.start(
      service(), runner_caller_of(caller()), arguments,
      {std::move(pipes[0].reading), std::move(pipes[1].writing), std::move(pipes[2].writing)}, *this);
  return {};
}

void RunCall::on_started(const std::string& unit) {
  if (is_over()) return;
  started_ = true;
  unit_ = unit;
  note(flush(to_program_));
  if (!is_over()) wait_for_turn();
}

void RunCall::on_ended(const ProgramEnd& program_end) {
  if (is_over()) return;
  started_ = true;
  program_end_ = program_end;
  input_eof_ = true;
  to_program_.give_up(call());
  input_.close();
  leave_service();
  timer().set(environment().reactor.now() + kLastOutput);
  wait_for_turn();
}

// ---------------------------------------------------------------- to the caller

void RunCall::on_host_io(HostFd& fd, std::uint32_t) {
  if (is_over()) return;
  if (&fd == &input_)
    note(flush(to_program_));
  else
    send_all();
  if (!is_over()) watch();
}

// Not here: the reactor's buffer may hold what the connection has received.
void RunCall::on_writable() {
  if (!is_over() && started_) wait_for_turn();
}

// Sends while there is something, the caller takes it, and it is the VM's turn.
void RunCall::send_all() {
  for (auto& output : outputs_) output.reads = false;
  while (!is_over()) {
    if (!may_work()) {
      wait_for_turn();
      break;
    }
    if (!call().may_send(reader_.message_bytes())) break;
    if (!send_next()) {
      call().pass();
      break;
    }
  }
  if (!is_over()) watch();
}

// False: there is nothing to send now.
bool RunCall::send_next() {
  if (!std::exchange(greeted_, true)) {
    if (call().send(StartResponse()) != wire::SendOutcome::kSent) end({Code::kInternal, "a message had no room"});
    return true;
  }
  if (is_all_sent()) {
    send_end();
    return false;
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    auto& output = outputs_[next_output_++ % outputs_.size()];
    if (output.fd.is_open() && !output.reads && read_once(output)) return true;
  }
  return is_all_sent() && !is_over();
}

// False: this output has nothing now.
bool RunCall::read_once(Output& output) {
  const auto found = reader_.read(output.fd, output.field, call());
  if (!found.ok() || found->end) {
    output.fd.close();
    return false;
  }
  if (output.left != kAny) output.left -= std::min(output.left, found->bytes);
  if (output.left == 0) output.fd.close();
  from_program_ += found->bytes;
  spend(found->bytes);
  output.reads = !found->more;
  return found->bytes != 0 || found->more;
}

void RunCall::send_end() {
  StartResponse response;
  auto& ended = *response.mutable_ended();
  ended.set_exit_code(static_cast<std::uint32_t>(program_end_->exit_code));
  ended.set_signal(static_cast<std::uint32_t>(program_end_->signal));
  ended.set_reason(bounded_text(program_end_->reason, kMaxReason));
  const bool sent = call().send(response) == wire::SendOutcome::kSent;
  end(sent ? Status{} : Status{Code::kInternal, "a message had no room"});
}

void RunCall::watch() {
  auto watched = input_.want(false, started_ && !to_program_.is_empty());
  for (auto& output : outputs_)
    if (watched.ok()) watched = output.fd.want(output.reads, false);
  if (!watched.ok()) end({Code::kUnavailable, "hostcalld can't watch the program: " + watched.error().message()});
}

// ---------------------------------------------------------------- from one daemon to the next

bool RunCall::is_portable() const {
  return !is_over() && (!has_service() || program_end_ || (program_ && environment().runner.is_portable()));
}

void RunCall::hand_over(handover::Call& call, Outgoing& parcel) const {
  auto& run = *call.mutable_run();
  auto& common = *run.mutable_call();
  tell(common);
  if (!has_service()) return;
  common.set_bytes_in(from_caller_);
  common.set_bytes_out(from_program_);
  to_program_.hand_over(common);
  if (input_.is_open()) run.set_input(parcel.add(input_.get()));
  for (const auto& output : outputs_) {
    auto& told = *run.add_outputs();
    if (output.fd.is_open()) told.set_descriptor(parcel.add(output.fd.get()));
    if (output.left != kAny) told.set_left(output.left);
  }
  run.set_unit(unit_);
  run.set_arguments(arguments_);
  if (!program_end_) {
    program_->tell(*run.mutable_program());
  } else {
    run.mutable_end()->set_exit_code(program_end_->exit_code);
    run.mutable_end()->set_signal(program_end_->signal);
    run.mutable_end()->set_reason(program_end_->reason);
  }
  run.set_cut(cut_);
  run.set_greeted(greeted_);
  run.set_input_eof(input_eof_);
  run.set_started(started_);
}

// First the program, so that it is killed if anything else fails.
Status RunCall::take_up(const handover::Call& in, Incoming& incoming) {
  const auto& run = in.run();
  if (run.call().service().empty()) return {};
  if (run.has_end())
    program_end_ = {.exit_code = run.end().exit_code(), .signal = run.end().signal(), .reason = run.end().reason()};
  else
    program_ = environment().runner.resume(run.program(), *this);
  take_up_pipes(run, incoming);
  if (!program_ && !program_end_)
    return {Code::kUnavailable,
            "hostcalld was restarted, and the connection to hostcall-runner was lost, and with it "
            "the outcome"};
  if (auto status = take_service_again(run.call()); !status.ok()) return status;
  if (auto status = check_kind(service()); !status.ok()) return status;
  if (program_end_) leave_service();
  unit_ = run.unit();
  arguments_ = run.arguments();
  from_caller_ = run.call().bytes_in();
  from_program_ = run.call().bytes_out();
  cut_ = run.cut();
  greeted_ = run.greeted();
  input_eof_ = run.input_eof();
  started_ = run.started();
  return to_program_.resume(run.call()) ? Status{} : no_memory("the program of");
}

void RunCall::take_up_pipes(const handover::Run& in, Incoming& incoming) {
  if (auto input = in.has_input() ? incoming.take(in.input()) : UniqueFd())
    input_.open(std::move(input), HostFd::Kind::kPipe);
  for (std::size_t i = 0; i < outputs_.size() && static_cast<int>(i) < in.outputs_size(); ++i) {
    const auto& told = in.outputs(static_cast<int>(i));
    if (auto fd = told.has_descriptor() ? incoming.take(told.descriptor()) : UniqueFd())
      outputs_[i].fd.open(std::move(fd), HostFd::Kind::kPipe);
    if (told.has_left()) outputs_[i].left = told.left();
  }
}

void RunCall::resumed_service() {
  if (started_) wait_for_turn();
  watch();
}

void RunCall::describe_use(CallRecord& record) const {
  record.unit = unit_;
  record.arguments = arguments_;
  record.bytes_in = from_caller_;
  record.bytes_out = from_program_;
  if (!program_end_) return;
  record.outcome = program_end_->signal != 0 ? "signal " + std::to_string(program_end_->signal)
                                             : "exit code " + std::to_string(program_end_->exit_code);
}

// The service's timeout; or the program has ended, but not its output; or nobody reads that.
void RunCall::on_time() {
  if (!program_end_)
    return end({Code::kDeadlineExceeded, "the program of " + in_quotes(service().name) +
                                             " was killed, because it ran for longer than the service's timeout"});
  if (std::exchange(cut_, true))
    return end({Code::kDeadlineExceeded, "the program of " + in_quotes(service().name) +
                                             " has ended, but its last output was not read within 60 s"});
  for (auto& output : outputs_) cut(output);
  timer().set(environment().reactor.now() + kLastReading);
  wait_for_turn();
}

// What is in the pipe now came from the program, or might have. What comes later did not.
void RunCall::cut(Output& output) {
  int bytes = 0;
  if (!output.fd.is_open() || output.left != kAny) return;
  if (::ioctl(output.fd.get(), FIONREAD, &bytes) == 0 && bytes > 0)
    output.left = static_cast<std::size_t>(bytes);
  else
    output.fd.close();
}

}  // namespace hostcall::daemon
