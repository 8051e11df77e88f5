/*
 * A Mac's disk and sockets, for LD_PRELOAD: a flush takes FLUSH_MICROSECONDS longer, as one does that empties the
 * cache of a drive, and the queue of a Unix socket holds 191 connections, beyond which connect(2) is refused at once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const int queue = 191;
static long microseconds;

/* The library that would have answered. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A shell passes the library on to Node. Node must not see it: the daemon warns of libraries loaded into it. */
__attribute__((constructor)) static void begin(void)
{
  const char *given = getenv("FLUSH_MICROSECONDS");
  if (given != NULL) microseconds = strtol(given, NULL, 10);
  if (strcmp(program_invocation_short_name, "node") != 0) return;
  unsetenv("LD_PRELOAD");
  unsetenv("FLUSH_MICROSECONDS");
}

static void delay(void)
{
  struct timespec left = { microseconds / 1000000, microseconds % 1000000 * 1000 };
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

int fsync(int descriptor)
{
  delay();
  return NEXT(fsync)(descriptor);
}

int fdatasync(int descriptor)
{
  delay();
  return NEXT(fdatasync)(descriptor);
}

int listen(int descriptor, int backlog)
{
  return NEXT(listen)(descriptor, backlog < queue ? backlog : queue);
}

int connect(int descriptor, const struct sockaddr *address, socklen_t length)
{
  int result = NEXT(connect)(descriptor, address, length);
  /* Linux lets a client wait, or try again. */
  if (result != 0 && errno == EAGAIN && address->sa_family == AF_UNIX) errno = ECONNREFUSED;
  return result;
}
