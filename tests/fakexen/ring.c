/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/io/xs_wire.h>

#include "hv.h"
#include "preload.h"
#include "ring.h"

#define BUFFER_SIZE 8192
#define PORTS (HV_DOMAINS + 2)
#define RESET_ID 0xfa4e0001u /* the request by which a client's remains are cleared */
#define BATCH 64

struct buffer {
    size_t length;
    char bytes[BUFFER_SIZE];
};

struct ring {
    struct xenstore_domain_interface *page;
    bool bound;
    int listen_fd;
    int client_fd;     /* -1: nobody is connected */
    bool clearing;     /* a client has left, and its watches are being undone */
    uint32_t watched;  /* the events that epoll waits for on client_fd */
    size_t unfinished; /* so much of the message at the head of requests is not on the ring yet */
    struct buffer requests;
    struct buffer replies;
};

enum source { SOURCE_KICK, SOURCE_DATAGRAM, SOURCE_LISTEN, SOURCE_CLIENT };

/* Events in one direction: a pipe of port numbers, of which each is in it at most once, so that
 * writing never blocks. The state says whether it is. */
struct channel {
    int fds[2];
    _Atomic uint8_t state[PORTS]; /* IDLE, PENDING, AGAIN */
};

enum { IDLE, PENDING, AGAIN };

static struct channel to_daemon = { .fds = { -1, -1 } };
static struct channel to_guests = { .fds = { -1, -1 } };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of rings and of what they point to */
static struct ring *rings[HV_DOMAINS];
static int epoll_fd = -1;
static int datagram_fd = -1;

static void channel_raise(struct channel *channel, uint32_t port)
{
    uint8_t state = atomic_load(&channel->state[port]);

    while (state != AGAIN) {
        uint8_t next = state == IDLE ? PENDING : AGAIN;

        if (!atomic_compare_exchange_weak(&channel->state[port], &state, next))
            continue;
        if (state == IDLE && write(channel->fds[1], &port, sizeof(port)) != sizeof(port))
            perror("fakexen: event");
        return;
    }
}

/* From here on an event of this port is reported again; one that came meanwhile is not lost. */
static void channel_rearm(struct channel *channel, uint32_t port)
{
    if (atomic_exchange(&channel->state[port], IDLE) == AGAIN)
        channel_raise(channel, port);
}

static void epoll_set(int op, int fd, uint32_t events, enum source source, uint32_t domid)
{
    struct epoll_event event = {
        .events = events,
        .data.u64 = (uint64_t)source << 32 | domid,
    };

    if (epoll_ctl(epoll_fd, op, fd, &event) < 0)
        perror("fakexen: epoll_ctl");
}

static void buffer_drop(struct buffer *buffer, size_t n)
{
    buffer->length -= n;
    memmove(buffer->bytes, buffer->bytes + n, buffer->length);
}

/* Length of the message that starts at offset, or 0 when it is not all there. Of a message that is
 * longer than the protocol allows, only the head counts: the daemon then sees it and complains. */
static size_t message_length(const struct buffer *buffer, size_t offset)
{
    struct xsd_sockmsg head;
    size_t length;

    if (buffer->length - offset < sizeof(head))
        return 0;
    memcpy(&head, buffer->bytes + offset, sizeof(head));
    length = sizeof(head) + (head.len <= XENSTORE_PAYLOAD_MAX ? head.len : 0);
    return buffer->length - offset < length ? 0 : length;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Client to ring. A message is begun only when all of it is there, so that a client that dies does
 * not leave half of one on the ring. */
static bool move_requests(struct ring *ring)
{
    struct xenstore_domain_interface *page = ring->page;
    bool moved = false;

    for (;;) {
        uint32_t used = page->req_prod - page->req_cons;
        uint32_t offset = MASK_XENSTORE_IDX(page->req_prod);
        size_t n;

        if (ring->unfinished == 0)
            ring->unfinished = message_length(&ring->requests, 0);
        if (ring->unfinished == 0 || used >= XENSTORE_RING_SIZE)
            return moved;
        n = smallest(XENSTORE_RING_SIZE - used, XENSTORE_RING_SIZE - offset, ring->unfinished);
        memcpy(page->req + offset, ring->requests.bytes, n);
        atomic_thread_fence(memory_order_seq_cst);
        page->req_prod += (uint32_t)n;
        buffer_drop(&ring->requests, n);
        ring->unfinished -= n;
        moved = true;
    }
}

/* Drops replies that were meant for the client that left, up to the one to our own request. */
static void clear_replies(struct ring *ring)
{
    while (ring->clearing) {
        size_t length = message_length(&ring->replies, 0);
        struct xsd_sockmsg head;

        if (length == 0)
            return;
        memcpy(&head, ring->replies.bytes, sizeof(head));
        if (head.req_id == RESET_ID)
            ring->clearing = false;
        buffer_drop(&ring->replies, length);
    }
}

static void send_replies(struct ring *ring)
{
    ssize_t n;

    if (ring->clearing || ring->replies.length == 0)
        return;
    if (ring->client_fd < 0) {
        ring->replies.length = 0;
        return;
    }
    n = send(ring->client_fd, ring->replies.bytes, ring->replies.length,
             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        buffer_drop(&ring->replies, (size_t)n);
}

/* Ring to client. */
static bool move_replies(struct ring *ring)
{
    struct xenstore_domain_interface *page = ring->page;
    bool moved = false;

    for (;;) {
        uint32_t used = page->rsp_prod - page->rsp_cons;
        uint32_t offset = MASK_XENSTORE_IDX(page->rsp_cons);
        size_t n = 0;

        if (used <= XENSTORE_RING_SIZE)
            n = smallest(used, XENSTORE_RING_SIZE - offset, BUFFER_SIZE - ring->replies.length);
        if (n > 0) {
            atomic_thread_fence(memory_order_seq_cst);
            memcpy(ring->replies.bytes + ring->replies.length, page->rsp + offset, n);
            page->rsp_cons += (uint32_t)n;
            ring->replies.length += n;
            moved = true;
        }
        clear_replies(ring);
        send_replies(ring);
        if (n == 0)
            return moved;
    }
}

/* Waits for what can be used: requests while there is room, the end of sending while there are
 * replies, a new client once the old one's remains are gone. */
static void update_interest(struct ring *ring, uint32_t domid)
{
    uint32_t events = 0;

    if (ring->client_fd < 0) {
        if (!ring->clearing)
            epoll_set(EPOLL_CTL_MOD, ring->listen_fd, EPOLLIN, SOURCE_LISTEN, domid);
        return;
    }
    if (ring->requests.length < BUFFER_SIZE / 2)
        events |= EPOLLIN;
    if (ring->replies.length > 0)
        events |= EPOLLOUT;
    if (events != ring->watched)
        epoll_set(EPOLL_CTL_MOD, ring->client_fd, events, SOURCE_CLIENT, domid);
    ring->watched = events;
}

static void serve(uint32_t domid)
{
    struct ring *ring = rings[domid];
    bool moved;

    if (!ring || !ring->bound)
        return;
    do {
        moved = move_requests(ring);
        moved |= move_replies(ring);
        if (moved)
            channel_raise(&to_daemon, RING_PORT(domid));
    } while (moved);
    update_interest(ring, domid);
}

/* Whole requests of the client are kept, half of one is dropped, and one of ours follows. There is
 * room for it: the socket is only read while the buffer is less than half full. */
static void client_left(uint32_t domid)
{
    struct ring *ring = rings[domid];
    struct xsd_sockmsg reset = { .type = XS_RESET_WATCHES, .req_id = RESET_ID, .len = 1 };
    struct buffer *requests = &ring->requests;
    size_t kept = ring->unfinished;
    size_t n;

    close(ring->client_fd);
    ring->client_fd = -1;
    ring->watched = 0;
    ring->clearing = true;

    for (n = message_length(requests, kept); n > 0; n = message_length(requests, kept))
        kept += n;
    memcpy(requests->bytes + kept, &reset, sizeof(reset));
    requests->bytes[kept + sizeof(reset)] = '\0';
    requests->length = kept + sizeof(reset) + 1;
    serve(domid);
}

static void on_listen(uint32_t domid)
{
    struct ring *ring = rings[domid];
    int fd;

    if (ring->client_fd >= 0 || ring->clearing)
        return;
    fd = accept4(ring->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    ring->client_fd = fd;
    ring->requests.length = 0;
    ring->replies.length = 0;
    ring->unfinished = 0;
    ring->watched = EPOLLIN;
    epoll_set(EPOLL_CTL_MOD, ring->listen_fd, 0, SOURCE_LISTEN, domid);
    epoll_set(EPOLL_CTL_ADD, fd, EPOLLIN, SOURCE_CLIENT, domid);
}

static void on_client(uint32_t domid, uint32_t events)
{
    struct ring *ring = rings[domid];
    struct buffer *requests = &ring->requests;
    ssize_t n;

    if (ring->client_fd < 0)
        return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        n = recv(ring->client_fd, requests->bytes + requests->length,
                 BUFFER_SIZE - sizeof(struct xsd_sockmsg) - 1 - requests->length, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            client_left(domid);
            return;
        }
        if (n > 0)
            requests->length += (size_t)n;
    }
    serve(domid);
}

static void on_kicks(void)
{
    uint32_t ports[BATCH];
    ssize_t n = read(to_guests.fds[0], ports, sizeof(ports));
    ssize_t i;

    for (i = 0; i < n / (ssize_t)sizeof(ports[0]); i++) {
        channel_rearm(&to_guests, ports[i]);
        serve(RING_DOMID(ports[i]));
    }
}

static void on_datagram(void)
{
    char text[32];
    ssize_t n = recv(datagram_fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    unsigned domid;

    if (n <= 0)
        return;
    text[n] = '\0';
    if (text[0] == 'V')
        channel_raise(&to_daemon, RING_VIRQ_PORT);
    else if (sscanf(text, "K%u", &domid) == 1 && domid < HV_DOMAINS)
        channel_raise(&to_daemon, RING_PORT(domid));
}

static void *run(void *unused)
{
    struct epoll_event events[BATCH];

    (void)unused;
    for (;;) {
        int n = epoll_wait(epoll_fd, events, BATCH, -1);
        int i;

        pthread_mutex_lock(&lock);
        for (i = 0; i < n; i++) {
            enum source source = (enum source)(events[i].data.u64 >> 32);
            uint32_t domid = (uint32_t)events[i].data.u64;

            if (source == SOURCE_KICK)
                on_kicks();
            else if (source == SOURCE_DATAGRAM)
                on_datagram();
            else if (!rings[domid] || !rings[domid]->bound)
                continue; /* released since epoll_wait() */
            else if (source == SOURCE_LISTEN)
                on_listen(domid);
            else
                on_client(domid, events[i].events);
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Returns a bound socket, or a negative errno. */
static int bind_socket(int type, const char *format, uint32_t domid)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;
    int r;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    r = hv_path(address.sun_path, sizeof(address.sun_path), format, domid);
#pragma GCC diagnostic pop
    if (r < 0)
        return r;
    unlink(address.sun_path);
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

int ring_event_fd(void)
{
    if (to_daemon.fds[0] < 0 && pipe2(to_daemon.fds, O_CLOEXEC) < 0)
        perror("fakexen: pipe");
    return to_daemon.fds[0];
}

int ring_event_next(void)
{
    uint32_t port;
    ssize_t n = read(to_daemon.fds[0], &port, sizeof(port));

    if (n < 0)
        return -errno;
    return n == sizeof(port) ? (int)port : -EIO;
}

void ring_event_unmask(uint32_t port)
{
    if (port < PORTS)
        channel_rearm(&to_daemon, port);
}

int ring_start(void)
{
    pthread_t thread;

    if (epoll_fd >= 0)
        return 0;
    if (ring_event_fd() < 0 || pipe2(to_guests.fds, O_CLOEXEC) < 0)
        return -errno;
    datagram_fd = bind_socket(SOCK_DGRAM, "event", 0);
    if (datagram_fd < 0)
        return datagram_fd;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return -errno;
    epoll_set(EPOLL_CTL_ADD, to_guests.fds[0], EPOLLIN, SOURCE_KICK, 0);
    epoll_set(EPOLL_CTL_ADD, datagram_fd, EPOLLIN, SOURCE_DATAGRAM, 0);
    return -pthread_create(&thread, NULL, run, NULL);
}

static void *map_page(int fd)
{
    void *page = mmap(NULL, FAKE_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return page == MAP_FAILED ? NULL : page;
}

static bool domain_exists(uint32_t domid)
{
    struct hv *hv = preload_hv();
    bool found;

    if (!hv)
        return false;
    hv_lock(hv);
    found = hv_find(hv, domid) != NULL;
    hv_unlock(hv);
    return found;
}

/* Returns the ring's file, made if need be, or a negative errno. */
static int open_page(uint32_t domid)
{
    char path[256];
    int fd;
    int r = hv_path(path, sizeof(path), "ring/%u", domid);

    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, FAKE_PAGE_SIZE) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static struct ring *ring_make(uint32_t domid)
{
    struct ring *ring = rings[domid];

    if (ring)
        return ring;
    ring = calloc(1, sizeof(*ring));
    if (!ring)
        return NULL;
    ring->listen_fd = -1;
    ring->client_fd = -1;
    rings[domid] = ring;
    return ring;
}

/* Two mappings of the same page: the daemon unmaps its own whenever it likes. */
void *ring_map(uint32_t domid)
{
    struct ring *ring;
    void *page;
    void *own;
    int fd;

    if (!domain_exists(domid)) {
        errno = EINVAL;
        return NULL;
    }
    fd = open_page(domid);
    if (fd < 0) {
        errno = -fd;
        return NULL;
    }
    page = map_page(fd);
    own = map_page(fd);
    close(fd);
    pthread_mutex_lock(&lock);
    ring = ring_make(domid);
    if (page && own && ring) {
        if (ring->page)
            munmap(ring->page, FAKE_PAGE_SIZE);
        ring->page = own;
        own = NULL;
    } else if (page) {
        munmap(page, FAKE_PAGE_SIZE);
        page = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (own)
        munmap(own, FAKE_PAGE_SIZE);
    return page;
}

static int open_door(struct ring *ring, uint32_t domid)
{
    int fd = bind_socket(SOCK_STREAM, "guest/%u", domid);
    int r;

    if (fd < 0)
        return fd;
    if (listen(fd, 8) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    ring->listen_fd = fd;
    ring->client_fd = -1;
    ring->requests.length = 0;
    ring->replies.length = 0;
    ring->unfinished = 0;
    ring->clearing = false;
    ring->bound = true;
    epoll_set(EPOLL_CTL_ADD, fd, EPOLLIN, SOURCE_LISTEN, domid);
    return 0;
}

int ring_bind(uint32_t domid)
{
    int r = 0;

    if (domid >= HV_DOMAINS)
        return -EINVAL;
    if (!domain_exists(domid))
        return -ESRCH;
    pthread_mutex_lock(&lock);
    if (rings[domid] && !rings[domid]->bound)
        r = open_door(rings[domid], domid);
    pthread_mutex_unlock(&lock);
    if (r == 0)
        channel_raise(&to_daemon, RING_PORT(domid));
    return r;
}

void ring_unbind(uint32_t domid)
{
    struct ring *ring;
    char path[256];

    if (domid >= HV_DOMAINS)
        return;
    pthread_mutex_lock(&lock);
    ring = rings[domid];
    if (ring && ring->bound) {
        if (hv_path(path, sizeof(path), "guest/%u", domid) == 0)
            unlink(path);
        if (hv_path(path, sizeof(path), "ring/%u", domid) == 0)
            unlink(path);
        if (ring->client_fd >= 0)
            close(ring->client_fd);
        close(ring->listen_fd);
        munmap(ring->page, FAKE_PAGE_SIZE);
        free(ring);
        rings[domid] = NULL;
    }
    pthread_mutex_unlock(&lock);
}

void ring_kick(uint32_t domid)
{
    if (domid > 0 && domid < HV_DOMAINS)
        channel_raise(&to_guests, RING_PORT(domid));
}
