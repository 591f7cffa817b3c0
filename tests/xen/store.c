/* SPDX-License-Identifier: ISC */
#include "store.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The wire format of xenstored (xen/include/public/io/xs_wire.h). */
enum { XS_READ = 2, XS_WRITE = 11, XS_ERROR = 16 };
#define XS_PAYLOAD_MAX 4096
struct xs_header {
    uint32_t type;
    uint32_t request;
    uint32_t transaction;
    uint32_t size;
};

static int store = -1;

static bool read_fully(void *buf, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(store, (char *)buf + done, size - done);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool store_request(const char *node, const char *value, char *answer, size_t answer_size)
{
    struct {
        struct xs_header header;
        char payload[XS_PAYLOAD_MAX + 1];
    } message;
    size_t node_size = strlen(node) + 1;
    size_t value_size = value ? strlen(value) : 0;

    if (store < 0 || node_size + value_size > XS_PAYLOAD_MAX)
        return false;
    memset(&message.header, 0, sizeof(message.header));
    message.header.type = value ? XS_WRITE : XS_READ;
    message.header.size = (uint32_t)(node_size + value_size);
    memcpy(message.payload, node, node_size);
    if (value)
        memcpy(message.payload + node_size, value, value_size);
    if (write(store, &message, sizeof(message.header) + message.header.size) < 0)
        return false;

    if (!read_fully(&message.header, sizeof(message.header)) || message.header.size > XS_PAYLOAD_MAX
        || !read_fully(message.payload, message.header.size))
        return false;
    message.payload[message.header.size] = '\0';
    if (message.header.type == XS_ERROR)
        return false;
    if (answer)
        snprintf(answer, answer_size, "%s", message.payload);
    return true;
}

void store_write(const char *node, const char *value)
{
    (void)store_request(node, value, NULL, 0);
}

bool store_open(void)
{
    store = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
    return store >= 0;
}
