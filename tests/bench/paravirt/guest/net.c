/* TCP between two guests: one serves, the other sends, receives, and waits for single bytes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include "workloads.h"

enum { PORT = 7000, CHUNK = 32768 };
/* What is asked for: so many bytes to the server, from it, or echoed one by one. */
enum { SEND = 1, RECEIVE = 2, PING = 3 };

static uint8_t buffer[CHUNK];

static int take(int s, uint32_t bytes) {
  while (bytes > 0) {
    ssize_t n = read(s, buffer, bytes < CHUNK ? bytes : CHUNK);
    if (n <= 0) return 0;
    bytes -= n;
  }
  return 1;
}
static int give(int s, uint32_t bytes) {
  while (bytes > 0) {
    ssize_t n = write(s, buffer, bytes < CHUNK ? bytes : CHUNK);
    if (n <= 0) return 0;
    bytes -= n;
  }
  return 1;
}
static int open_socket(void) {
  int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return s;
}

int serve(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  int listener = open_socket(), on = 1;
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, 4)) return 1;
  for (;;) {
    int s = accept(listener, 0, 0);
    uint32_t what[2];
    if (s < 0) return 1;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (read(s, what, sizeof what) == sizeof what) {
      if (what[0] == SEND && take(s, what[1])) give(s, 1);
      if (what[0] == RECEIVE) give(s, what[1]);
      if (what[0] == PING)
        for (uint32_t i = 0; i < what[1]; i++)
          if (!take(s, 1) || !give(s, 1)) break;
    }
    close(s);
  }
}

static uint32_t ask(const char *address, uint32_t kind, uint32_t count) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  uint32_t what[2] = {kind, count};
  int s = open_socket(), ok = 1;
  if (!inet_aton(address, &at.sin_addr) || connect(s, (void *)&at, sizeof at)) return 0;
  if (write(s, what, sizeof what) != sizeof what) return 0;
  if (kind == SEND) ok = give(s, count) && take(s, 1);
  if (kind == RECEIVE) ok = take(s, count);
  if (kind == PING)
    for (uint32_t i = 0; i < count && ok; i++) ok = give(s, 1) && take(s, 1);
  close(s);
  return ok ? count : 0;
}
uint32_t run_tcpsend(const char *address) { return ask(address, SEND, times(48 << 20)); }
uint32_t run_tcprecv(const char *address) { return ask(address, RECEIVE, times(48 << 20)); }
uint32_t run_tcpping(const char *address) { return ask(address, PING, times(6000)); }
