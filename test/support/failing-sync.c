/*
 * Preloaded into a process, it has fdatasync fail on the files of segments, as on a disk that cannot write, from the moment on in which the file exists
 * that FAILING_SYNC_FROM names. What a process without it would have synced is not lost by that: a test has to take it away.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_segment(int file) {
  static const char end[] = ".sqlite";
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < (ssize_t)sizeof end) return 0;
  path[length] = 0;
  return strcmp(path + length - (sizeof end - 1), end) == 0;
}

int fdatasync(int file) {
  static int (*real)(int);
  const char *from = getenv("FAILING_SYNC_FROM");
  if (from != NULL && access(from, F_OK) == 0 && is_segment(file)) {
    errno = EIO;
    return -1;
  }
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return real(file);
}
