// Which socket a path names, so that two spellings of one socket are recognised.
#pragma once

#include <map>
#include <string>

namespace hostcall::daemon {

// A socket that hostcalld opens for itself: no VM may have it.
struct OwnSocket {
  std::string name;  // "the admin socket", for messages
  std::string path;
};

class SocketKeys {
 public:
  // Equal for two paths that name the same socket as the file system stands now: the device and inode of the directory
  // and the name in it, after symbolic links. A directory that is missing counts by its name below the nearest one
  // that is there. An abstract name ("@…") is its own key.
  std::string key_of(const std::string& path);

 private:
  std::map<std::string, std::string> directories_;  // looked up once each
};

}  // namespace hostcall::daemon
