/* SPDX-License-Identifier: ISC */
#include "guest/xenbus.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* Xen's public/io/xs_wire.h, as far as it is used here. */
#define TYPE_READ 2
#define TYPE_WRITE 11
#define TYPE_REMOVE 13
#define TYPE_WATCH_EVENT 15
#define TYPE_ERROR 16
#define PAYLOAD_MAX 4096

struct header {
    uint32_t type;
    uint32_t request;
    uint32_t transaction;
    uint32_t len;
};

/* The store answers within a millisecond; one that is silent for so long is not there. */
#define ANSWER_MS 10000

/* The names of errors as the store sends them. */
static const struct {
    const char *name;
    int error;
} errors[] = {
    { "EACCES", EACCES }, { "ENOSPC", ENOSPC }, { "E2BIG", E2BIG }, { "EINVAL", EINVAL },
    { "ENOENT", ENOENT }, { "EQUOTA", EDQUOT }, { "EBUSY", EBUSY }, { "EAGAIN", EAGAIN },
};

int xenbus_open(void)
{
    const char *path = getenv("XENSTORED_PATH");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;
    int r;

    if (!path) {
        fd = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

/* The device takes a message in as many writes as one likes. */
static int send_all(int fd, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t n = writev(fd, parts, count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        while (count > 0 && (size_t)n >= parts->iov_len) {
            n -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int receive(int fd, void *buf, size_t len)
{
    size_t got = 0;

    while (got < len) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        ssize_t n;
        int ready = poll(&poll_fd, 1, ANSWER_MS);

        if (ready == 0)
            return -ETIMEDOUT;
        n = ready < 0 ? -1 : read(fd, (char *)buf + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ECONNRESET;
        got += (size_t)n;
    }
    return 0;
}

static int error_of(const char *name)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strcmp(errors[i].name, name) == 0)
            return -errors[i].error;
    }
    return -EIO;
}

/* Reads answers until the one to our request; watch events are none of ours. Returns the length of
 * what it says, in *ret_payload until the next. */
static int answer(int fd, uint32_t type, uint32_t request, const char **ret_payload)
{
    static char payload[PAYLOAD_MAX + 1];
    struct header header;
    int r;

    do {
        r = receive(fd, &header, sizeof(header));
        if (r == 0 && header.len > PAYLOAD_MAX)
            r = -EPROTO;
        if (r == 0)
            r = receive(fd, payload, header.len);
        if (r < 0)
            return r;
        payload[header.len] = '\0';
    } while (header.type == TYPE_WATCH_EVENT || header.request != request);
    if (header.type == TYPE_ERROR)
        return error_of(payload);
    if (header.type != type)
        return -EPROTO;
    *ret_payload = payload;
    return (int)header.len;
}

static int ask(int fd, uint32_t type, const char *node, const char *value, size_t len,
               const char **ret_payload)
{
    static uint32_t request;
    struct header header = {
        .type = type,
        .request = ++request,
        .len = (uint32_t)(strlen(node) + 1 + len),
    };
    struct iovec parts[] = {
        { &header, sizeof(header) },
        { (char *)node, strlen(node) + 1 },
        { (char *)value, len },
    };
    int r;

    if (header.len > PAYLOAD_MAX)
        return -E2BIG;
    r = send_all(fd, parts, len ? 3 : 2);
    return r < 0 ? r : answer(fd, type, request, ret_payload);
}

int xenbus_write(int fd, const char *node, const char *value, size_t len)
{
    const char *said;
    int r = ask(fd, TYPE_WRITE, node, value, len, &said);

    return r < 0 ? r : 0;
}

int xenbus_read(int fd, const char *node, char *buf, size_t size)
{
    const char *value;
    int len = ask(fd, TYPE_READ, node, NULL, 0, &value);

    if (len >= 0 && (size_t)len >= size)
        return -ENOSPC;
    if (len >= 0) {
        memcpy(buf, value, (size_t)len);
        buf[len] = '\0';
    }
    return len;
}

int xenbus_remove(int fd, const char *node)
{
    const char *said;
    int r = ask(fd, TYPE_REMOVE, node, NULL, 0, &said);

    return r == -ENOENT || r > 0 ? 0 : r;
}
