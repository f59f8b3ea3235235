// An LD_PRELOAD library between a program and its disk: makes writes or syncs fail, counts syncs, and keeps an image of
// each file as of its last sync, so that a test can restore what a power loss would have left.
//
// DISK_FAULTS_DIRECTORY  affects only files in this directory (an absolute path without symbolic links)
// DISK_FAULTS_CONTROL    file that selects what fails: "full", "write" (EIO), "sync" (EIO); anything else: nothing
// DISK_FAULTS_IMAGES     directory for the images; unset: keeps none
// DISK_FAULTS_SYNCS      file that grows by a byte per sync; unset: does not count
// DISK_FAULTS_FAILURES   file that grows by a byte per injected failure; unset: does not count
//
// The library makes its own system calls, which it does not intercept.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The part of the path after the directory; null if the file is elsewhere.
static const char* name_of(const char* path) {
  const char* directory = getenv("DISK_FAULTS_DIRECTORY");
  if (directory == NULL || path == NULL) return NULL;
  const size_t length = strlen(directory);
  if (strncmp(path, directory, length) != 0 || path[length] != '/') return NULL;
  return path + length + 1;
}

// The same for an open file. `path` has PATH_MAX bytes.
static const char* name_of_fd(int fd, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return NULL;
  path[length] = '\0';
  return name_of(path);
}

static int control_says(const char* word) {
  const char* control = getenv("DISK_FAULTS_CONTROL");
  if (control == NULL) return 0;
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[16] = {0};
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  return got > 0 && strcmp(text, word) == 0;
}

// Adds a byte to the file that the variable names.
static void count(const char* variable) {
  const char* path = getenv(variable);
  if (path == NULL) return;
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) abort();
  if (syscall(SYS_write, fd, "s", 1) != 1) abort();
  close(fd);
}

static int failure(int error) {
  count("DISK_FAULTS_FAILURES");
  errno = error;
  return -1;
}

// Null if no images are kept.
static const char* image_path(const char* name, const char* suffix, char* path) {
  const char* images = getenv("DISK_FAULTS_IMAGES");
  if (images == NULL) return NULL;
  if (snprintf(path, PATH_MAX, "%s/%s%s", images, name, suffix) >= PATH_MAX) abort();
  return path;
}

// Renames the finished image into place, because the program may be killed at any time.
static void keep_image(int fd, const char* name) {
  char unfinished[PATH_MAX], finished[PATH_MAX];
  struct stat status;
  if (image_path(name, ".unfinished", unfinished) == NULL || image_path(name, "", finished) == NULL) return;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
  const int image = (int)syscall(SYS_openat, AT_FDCWD, unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (image < 0) abort();
  char buffer[65536];
  for (off_t at = 0;;) {
    const long got = syscall(SYS_pread64, fd, buffer, sizeof buffer, at);
    if (got < 0 || (got > 0 && syscall(SYS_write, image, buffer, got) != got)) abort();
    if (got == 0) break;
    at += got;
  }
  close(image);
  if (syscall(SYS_renameat, AT_FDCWD, unfinished, AT_FDCWD, finished) != 0) abort();
}

static int sync_file(int fd, long number) {
  char path[PATH_MAX];
  const char* name = name_of_fd(fd, path);
  if (name == NULL) return (int)syscall(number, fd);
  count("DISK_FAULTS_SYNCS");
  if (control_says("sync")) return failure(EIO);
  const int result = (int)syscall(number, fd);
  if (result == 0) keep_image(fd, name);
  return result;
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  char path[PATH_MAX];
  if (name_of_fd(fd, path) != NULL) {
    const int error = control_says("full") ? ENOSPC : control_says("write") ? EIO : 0;
    if (error != 0) return failure(error);
  }
  return syscall(SYS_pwrite64, fd, data, size, at);
}

int rename(const char* from, const char* to) {
  const int result = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
  char image_from[PATH_MAX], image_to[PATH_MAX];
  if (result == 0 && name_of(from) != NULL && name_of(to) != NULL &&
      image_path(name_of(from), "", image_from) != NULL && image_path(name_of(to), "", image_to) != NULL)
    syscall(SYS_renameat, AT_FDCWD, image_from, AT_FDCWD, image_to);
  return result;
}

int unlink(const char* path) {
  char image[PATH_MAX];
  const int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (result == 0 && name_of(path) != NULL && image_path(name_of(path), "", image) != NULL)
    syscall(SYS_unlinkat, AT_FDCWD, image, 0);
  return result;
}
