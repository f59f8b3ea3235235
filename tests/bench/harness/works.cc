#include "tests/bench/harness/works.h"

#include <exception>
#include <iostream>
#include <map>

namespace hostcall::bench {
namespace {

using Duration = std::chrono::duration<double>;

// One call after the other; the end of one is the beginning of the next.
void closed_loop(const Arguments& arguments, Result& result, const std::function<void()>& call) {
  const bool counted = arguments.calls != 0;
  const auto warm = Clock::now() + Duration(counted ? 0 : arguments.warmup);
  call();
  while (Clock::now() < warm) call();
  Latencies latencies(arguments.seconds);
  const auto begin = Moment::now(arguments.server);
  const auto over = begin.time + Duration(arguments.seconds);
  std::uint64_t calls = 0;
  auto last = Clock::now();
  while (counted ? calls < arguments.calls : last < over && !latencies.full()) {
    call();
    const auto now = Clock::now();
    latencies.record(now - last);
    last = now;
    ++calls;
  }
  result.add_calls(calls, begin, Moment::now(arguments.server));
  result.add("p50_us", latencies.percentile_us(50));
  result.add("p99_us", latencies.percentile_us(99));
}

// Whole streams, one after the other. The first is not counted: it touches the buffers of both sides.
void bulk(const Arguments& arguments, Result& result, const std::function<void()>& stream) {
  stream();
  const auto begin = Moment::now(arguments.server);
  const auto over = begin.time + Duration(arguments.seconds);
  double gb = 0;
  do {
    stream();
    gb += static_cast<double>(arguments.bytes) / 1e9;
  } while (Clock::now() < over);
  const auto end = Moment::now(arguments.server);
  result.add("gb_per_s", gb / Duration(end.time - begin.time).count());
  result.add("client_s_per_gb", (end.own_cpu_s - begin.own_cpu_s) / gb);
  result.add("server_s_per_gb", (end.server_cpu_s - begin.server_cpu_s) / gb);
}

}  // namespace

std::string pattern(std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i);
  return text;
}

void require(bool good, const std::string& text) {
  if (!good) throw std::runtime_error(text);
}

void check_reply(std::string_view reply, std::string_view sent) {
  if (reply != sent) throw std::runtime_error("the reply is not what was sent");
}

void check_chunk(std::string_view chunk, std::size_t bytes) {
  if (chunk.size() != bytes || chunk.back() != static_cast<char>(bytes - 1))
    throw std::runtime_error("a chunk is not what was asked for");
}

void check_total(std::uint64_t got, std::uint64_t sent) {
  require(got == sent, std::to_string(got) + " bytes have arrived of " + std::to_string(sent));
}

void run_work(const Arguments& arguments, Client& client, Load& load, Result& result) {
  const std::map<std::string, std::function<void()>> works = {
      {"unary", [&] { closed_loop(arguments, result, [&] { client.call(); }); }},
      {"connect", [&] { closed_loop(arguments, result, [&] { client.connect(); }); }},
      {"pipelined", [&] { client.open(1), load.run(client, arguments.in_flight, result); }},
      {"late", [&] { client.open(1), load.run(client, arguments.in_flight, result); }},
      {"connections", [&] { client.open(arguments.connections), load.run(client, arguments.connections, result); }},
      {"download", [&] { bulk(arguments, result, [&] { client.download(); }); }},
      {"upload", [&] { bulk(arguments, result, [&] { client.upload(); }); }},
  };
  const auto work = works.find(arguments.work);
  if (work == works.end()) throw Unsupported("no work " + arguments.work);
  work->second();
}

int run_client(int argc, char** argv, const MakeClient& make) {
  const auto arguments = Arguments::parse(argc, argv);
  Result result;
  try {
    Load load(arguments);
    const auto client = make(arguments, load);
    run_work(arguments, *client, load, result);
  } catch (const Unsupported& reason) {
    result = {};
    result.add("unsupported", std::string(reason.what()));
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  result.print();
  return 0;
}

}  // namespace hostcall::bench
