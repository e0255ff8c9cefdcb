/* A wide-area network in one process: a star of TUN devices, one in each of some network namespaces, with delay, rate,
 * a queue that drops its tail, and loss. Kernels without netem can be shaped with it; it needs root and /dev/net/tun.
 * Both ways of every namespace have the rate to themselves, and the delay stands between any two of them, each way. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>

#define DEVICE "wan0"
#define MAX_PORTS 16
#define MAX_PACKET 70000
#define BURST 64                /* packets read from one device before the others have their turn */
#define SHORTEST_WAIT_NS 300000 /* below this the wake-ups cost more than they gain */
#define VNET_HEADER 10          /* struct virtio_net_hdr stands before each packet */
#define LINK_HEADER 18          /* bytes of Ethernet around each segment */
#define SEGMENT_HEADER 52       /* IPv4 and TCP with time stamps, repeated in each segment of a large packet */
#define IPV4_HEADER 20
#define NS_PER_S G_GINT64_CONSTANT(1000000000)

typedef struct {
  gint64 due;   /* when it leaves the stage where it is, in ns of the monotonic clock */
  guint port;   /* where it goes */
  guint32 wire; /* its bytes on the line, with the headers of all its segments */
  guint32 length;
  guint8 data[];
} Packet;

typedef struct {
  char *space;
  guint32 address;
  int fd;
  gint64 up_free, down_free; /* when the line of each way is idle again */
  GQueue line;               /* sent and on its way */
  GQueue down;               /* arrived, waiting for its turn on the way down */
  guint64 sent, bytes, dropped, lost;
} Port;

static double rate_mbit, loss_percent, delay_ms, queue_ms = 50;
static int seed = 1;
static gint64 delay_ns, queue_ns;
static Port ports[MAX_PORTS];
static guint n_ports;
static GRand *chance;
static volatile sig_atomic_t ended;

static gint64
now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* How long `wire` bytes occupy a line. */
static gint64
line_time(guint32 wire)
{
  return rate_mbit > 0 ? (gint64) (wire * 8000.0 / rate_mbit) : 0;
}

/* Large packets pass as the kernel made them, which is cheap; where packets are lost by chance, each has to come alone.
 */
static gboolean
set_up_device(int fd)
{
  struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
  unsigned int offload = TUN_F_CSUM | (loss_percent > 0 ? 0 : TUN_F_TSO4);
  int header = VNET_HEADER;
  g_strlcpy(request.ifr_name, DEVICE, sizeof request.ifr_name);
  return ioctl(fd, TUNSETIFF, &request) == 0 && ioctl(fd, TUNSETOFFLOAD, offload) == 0
         && ioctl(fd, TUNSETVNETHDRSZ, &header) == 0;
}

/* A device inside of the namespace, held by this process outside of it; -1 with errno set where that fails. */
static int
open_device(const char *space, int home)
{
  g_autofree char *path = g_build_filename("/run/netns", space, NULL);
  int inside = open(path, O_RDONLY | O_CLOEXEC);
  if (inside < 0 || setns(inside, CLONE_NEWNET) != 0)
    return -1;
  close(inside);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0 && !set_up_device(fd))
    return -1;
  return setns(home, CLONE_NEWNET) == 0 ? fd : -1;
}

static gboolean
add_port(const char *text, int home)
{
  g_auto(GStrv) parts = g_strsplit(text, "=", 2);
  struct in_addr address;
  if (n_ports == MAX_PORTS || g_strv_length(parts) != 2 || inet_pton(AF_INET, parts[1], &address) != 1) {
    g_printerr("not NAMESPACE=ADDRESS, or too many: %s\n", text);
    return FALSE;
  }
  Port *port = &ports[n_ports++];
  port->space = g_strdup(parts[0]);
  port->address = address.s_addr;
  port->fd = open_device(parts[0], home);
  if (port->fd < 0)
    g_printerr("%s: %s\n", text, g_strerror(errno));
  return port->fd >= 0;
}

static gboolean
find_port(guint32 address, guint *ret_port)
{
  for (guint i = 0; i < n_ports; i++)
    if (ports[i].address == address) {
      *ret_port = i;
      return TRUE;
    }
  return FALSE;
}

/* What the packet will be on the line: a large one is cut into segments there, each with headers of its own. */
static guint32
wire_size(const guint8 *data, guint32 length)
{
  struct virtio_net_hdr header;
  memcpy(&header, data, sizeof header);
  guint32 packet = length - VNET_HEADER, segments = 1;
  if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE && header.gso_size > 0 && packet > header.hdr_len)
    segments = (packet - header.hdr_len + header.gso_size - 1) / header.gso_size;
  return packet + (segments - 1) * SEGMENT_HEADER + segments * LINK_HEADER;
}

/* The way up: the packet waits for its turn, occupies the line and is under way; or it is dropped or lost. */
static void
send_up(Port *port, const guint8 *data, guint32 length, gint64 now)
{
  guint32 address;
  guint target;
  if (length < VNET_HEADER + IPV4_HEADER || data[VNET_HEADER] >> 4 != 4)
    return;
  memcpy(&address, data + VNET_HEADER + 16, sizeof address);
  if (!find_port(address, &target))
    return;
  guint32 wire = wire_size(data, length);
  gint64 start = MAX(port->up_free, now);
  if (loss_percent > 0 && g_rand_double(chance) * 100 < loss_percent) {
    port->lost++;
    return;
  }
  if (rate_mbit > 0 && start - now > queue_ns) {
    port->dropped++;
    return;
  }
  port->up_free = start + line_time(wire);
  port->sent++;
  port->bytes += wire;
  Packet *packet = g_malloc(sizeof *packet + length);
  *packet = (Packet){ .due = port->up_free + delay_ns, .port = target, .wire = wire, .length = length };
  memcpy(packet->data, data, length);
  g_queue_push_tail(&port->line, packet);
}

/* What has arrived by now joins the queue of its way down; its first byte came a line time before its last. */
static void
arrive(Port *port, gint64 now)
{
  Packet *packet;
  while ((packet = g_queue_peek_head(&port->line)) != NULL && packet->due <= now) {
    Port *target = &ports[packet->port];
    gint64 took = line_time(packet->wire), end = MAX(packet->due - took, target->down_free) + took;
    g_queue_pop_head(&port->line);
    if (rate_mbit > 0 && end - packet->due > queue_ns) {
      port->dropped++;
      g_free(packet);
      continue;
    }
    packet->due = target->down_free = end;
    g_queue_push_tail(&target->down, packet);
  }
}

static void
deliver(Port *port, gint64 now)
{
  Packet *packet;
  while ((packet = g_queue_peek_head(&port->down)) != NULL && packet->due <= now) {
    if (write(port->fd, packet->data, packet->length) < 0 && errno == EAGAIN)
      return;
    g_free(g_queue_pop_head(&port->down));
  }
}

static void
read_port(Port *port)
{
  static guint8 data[MAX_PACKET];
  gint64 now = now_ns();
  for (int i = 0; i < BURST; i++) {
    ssize_t length = read(port->fd, data, sizeof data);
    if (length <= 0)
      return;
    send_up(port, data, length, now);
  }
}

/* Until when nothing is due; G_MAXINT64 = nothing is under way. */
static gint64
next_due(void)
{
  gint64 next = G_MAXINT64;
  for (guint i = 0; i < n_ports; i++) {
    const Packet *line = g_queue_peek_head(&ports[i].line), *down = g_queue_peek_head(&ports[i].down);
    next = MIN(next, line == NULL ? G_MAXINT64 : line->due);
    next = MIN(next, down == NULL ? G_MAXINT64 : down->due);
  }
  return next;
}

/* What comes meanwhile is taken all at once. */
static void
pause_between(gint64 *last)
{
  gint64 left = *last + SHORTEST_WAIT_NS - now_ns();
  if (left > 0)
    nanosleep(&(struct timespec){ .tv_nsec = left }, NULL);
  *last = now_ns();
}

static int
wait_for_packets(struct pollfd *watched)
{
  gint64 next = next_due();
  if (next == G_MAXINT64)
    return ppoll(watched, n_ports, NULL, NULL);
  gint64 wait = MAX(next - now_ns(), 0);
  struct timespec limit = { .tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S };
  return ppoll(watched, n_ports, &limit, NULL);
}

static void
run(void)
{
  struct pollfd watched[MAX_PORTS];
  for (guint i = 0; i < n_ports; i++)
    watched[i] = (struct pollfd){ .fd = ports[i].fd, .events = POLLIN };
  for (gint64 last = 0; !ended; pause_between(&last)) {
    gint64 now = now_ns();
    for (guint i = 0; i < n_ports; i++)
      arrive(&ports[i], now);
    for (guint i = 0; i < n_ports; i++)
      deliver(&ports[i], now);
    if (wait_for_packets(watched) <= 0)
      continue;
    for (guint i = 0; i < n_ports; i++)
      if (watched[i].revents & POLLIN)
        read_port(&ports[i]);
  }
}

static void
on_signal(int number)
{
  ended = 1;
}

static gboolean
parse(int *argc, char ***argv)
{
  const GOptionEntry entries[]
      = { { "rate", 'r', 0, G_OPTION_ARG_DOUBLE, &rate_mbit, "Each way of each namespace; 0: unlimited", "MBIT" },
          { "delay", 'd', 0, G_OPTION_ARG_DOUBLE, &delay_ms, "One way", "MS" },
          { "queue", 'q', 0, G_OPTION_ARG_DOUBLE, &queue_ms, "What waits longer is dropped (default: 50)", "MS" },
          { "loss", 'l', 0, G_OPTION_ARG_DOUBLE, &loss_percent, "Of the packets of each way", "PERCENT" },
          { "seed", 's', 0, G_OPTION_ARG_INT, &seed, "Of the loss (default: 1)", "N" },
          { NULL } };
  g_autoptr(GError) error = NULL;
  g_autoptr(GOptionContext) context = g_option_context_new("NAMESPACE=ADDRESS...");
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, argc, argv, &error)) {
    g_printerr("%s\n", error->message);
    return FALSE;
  }
  delay_ns = delay_ms * 1e6;
  queue_ns = queue_ms * 1e6;
  chance = g_rand_new_with_seed(seed);
  return TRUE;
}

/* A line does not wait for the processors of the machines on it: a packet that is late because tar begins looks like a
 * queue that grows, and ends a connection's slow start. */
static void
keep_time(void)
{
  struct sched_param lowest = { .sched_priority = sched_get_priority_min(SCHED_RR) };
  prctl(PR_SET_TIMERSLACK, 1000);
  if (sched_setscheduler(0, SCHED_RR, &lowest) != 0)
    g_printerr("the lines may be late where the processors are busy: %s\n", g_strerror(errno));
}

int
main(int argc, char **argv)
{
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (!parse(&argc, &argv))
    return 2;
  for (int i = 1; i < argc; i++)
    if (!add_port(argv[i], home))
      return 1;
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  keep_time();
  g_print("ready\n");
  run();
  for (guint i = 0; i < n_ports; i++)
    g_print("%s packets %" G_GUINT64_FORMAT " bytes %" G_GUINT64_FORMAT " dropped %" G_GUINT64_FORMAT
            " lost %" G_GUINT64_FORMAT "\n",
            ports[i].space, ports[i].sent, ports[i].bytes, ports[i].dropped, ports[i].lost);
  return 0;
}
