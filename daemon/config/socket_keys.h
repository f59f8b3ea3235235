// Finds which socket a path names, to recognise two spellings of one socket.
#pragma once

#include <map>
#include <string>

namespace hostcall::daemon {

// A socket that hostcalld opens for itself. No VM may use it.
struct OwnSocket {
  std::string name;  // "the admin socket", for messages
  std::string path;
};

// The path behind the symbolic links that it ends in.
std::string behind_links(const std::string& path);

class SocketKeys {
 public:
  // Equal for two paths at which bind() would make the same socket now: device and inode of the directory, and the name
  // in it. A symbolic link at the end counts as a name, as bind() does not follow it. For a missing directory, uses its
  // name below the nearest existing one. An abstract name ("@…") is its own key, and so
  // is no name.
  std::string key_of(const std::string& path);

 private:
  std::map<std::string, std::string> directories_;  // each looked up once
};

}  // namespace hostcall::daemon
