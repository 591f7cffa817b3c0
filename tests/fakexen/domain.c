/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xenstore.h>

#include "domain.h"

#define MAX_SLACK_KIB 1024 /* libxl's cap is that much above the target */
#define HVM_VIDEO_KIB 8192
#define RELEASE_NS UINT64_C(5000000000)
#define PATH_SIZE 256
#define VALUE_SIZE 64

static const char *const type_names[DOMAIN_TYPES] = {
    [DOMAIN_PV] = "pv",
    [DOMAIN_PVH] = "pvh",
    [DOMAIN_HVM] = "hvm",
};

const char *domain_type_name(enum domain_type type)
{
    return type_names[type];
}

int domain_type_parse(const char *word, enum domain_type *ret_type)
{
    unsigned i;

    for (i = 0; i < DOMAIN_TYPES; i++) {
        if (strcmp(word, type_names[i]) == 0) {
            *ret_type = (enum domain_type)i;
            return 0;
        }
    }
    return -EINVAL;
}

uint64_t domain_video_kib(enum domain_type type)
{
    return type == DOMAIN_HVM ? HVM_VIDEO_KIB : 0;
}

void domain_uuid(struct hv *hv, uint32_t domid, char ret_text[37])
{
    const uint8_t *u = hv->domains[domid].uuid;

    snprintf(ret_text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
             u[14], u[15]);
}

/* A new one. The number of the domain is in it, for whoever reads a log. */
static void make_uuid(struct hv *hv, uint32_t domid, uint8_t ret_uuid[16])
{
    uint32_t serial;

    hv_lock(hv);
    serial = ++hv->created;
    hv_unlock(hv);
    memset(ret_uuid, 0, 16);
    ret_uuid[0] = 0xfa;
    ret_uuid[1] = 0xce;
    ret_uuid[6] = 0x40;
    ret_uuid[8] = 0x80;
    memcpy(ret_uuid + 2, &serial, sizeof(serial));
    memcpy(ret_uuid + 12, &domid, sizeof(domid));
}

/* Who may do what with a node. */
enum access { DOM0_ONLY, GUEST_READS, GUEST_OWNS };

/* A run of writes in one transaction. The first failure is kept, the rest then does nothing. */
struct writer {
    struct xs_handle *xs;
    xs_transaction_t transaction;
    uint32_t domid;
    int r;
};

/* Writes value, or makes the node when value is NULL. */
static void put(struct writer *writer, enum access access, const char *value, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

static void put(struct writer *writer, enum access access, const char *value, const char *format,
                ...)
{
    struct xs_permissions rights[2] = {
        { .id = access == GUEST_OWNS ? writer->domid : 0, .perms = XS_PERM_NONE },
        { .id = writer->domid, .perms = XS_PERM_READ },
    };
    char path[PATH_SIZE];
    va_list ap;
    bool ok;

    if (writer->r < 0)
        return;
    va_start(ap, format);
    vsnprintf(path, sizeof(path), format, ap);
    va_end(ap);
    if (value)
        ok = xs_write(writer->xs, writer->transaction, path, value, (unsigned)strlen(value));
    else
        ok = xs_mkdir(writer->xs, writer->transaction, path);
    if (ok)
        ok = xs_set_permissions(writer->xs, writer->transaction, path, rights,
                                access == GUEST_READS ? 2 : 1);
    if (!ok) {
        writer->r = -errno;
        fprintf(stderr, "fakexen: %s: %s\n", path, strerror(errno));
    }
}

static void put_number(struct writer *writer, const char *name, uint64_t number)
{
    char value[VALUE_SIZE];

    snprintf(value, sizeof(value), "%" PRIu64, number);
    put(writer, GUEST_READS, value, "/local/domain/%u/%s", writer->domid, name);
}

/* What the target's node holds when libxl has built a domain: for HVM less the video memory, and
 * less 1 MiB when it can grow. */
static uint64_t target_node_kib(const struct domain_spec *spec)
{
    uint64_t kib = spec->target_kib - domain_video_kib(spec->type);

    if (spec->type == DOMAIN_HVM && spec->static_max_kib > spec->target_kib)
        kib -= MAX_SLACK_KIB;
    return kib;
}

/* The time of day, in seconds and hundredths, as libxl notes it. */
static void put_start_time(struct writer *writer, const char *vm)
{
    char value[VALUE_SIZE];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(value, sizeof(value), "%jd.%02d", (intmax_t)now.tv_sec, (int)(now.tv_nsec / 10000000));
    put(writer, GUEST_READS, value, "%s/start_time", vm);
}

static void put_domain(struct writer *writer, const struct domain_spec *spec, const char *uuid)
{
    static const char *const owned[] = {
        "data",
        "control/shutdown",
        "control/feature-poweroff",
        "control/feature-reboot",
        "control/feature-suspend",
        "control/sysrq",
        "device/suspend/event-channel",
        "drivers",
        "feature",
        "attr",
        "error",
    };
    uint32_t domid = spec->domid;
    char vm[VALUE_SIZE];
    size_t i;

    snprintf(vm, sizeof(vm), "/vm/%s", uuid);
    put(writer, GUEST_READS, NULL, "/local/domain/%u", domid);
    put(writer, GUEST_READS, NULL, "%s", vm);
    put(writer, DOM0_ONLY, NULL, "/libxl/%u", domid);
    put(writer, DOM0_ONLY, domain_type_name(spec->type), "/libxl/%u/type", domid);
    put(writer, GUEST_READS, spec->name, "/local/domain/%u/name", domid);
    put(writer, GUEST_READS, spec->name, "%s/name", vm);
    put(writer, GUEST_READS, uuid, "%s/uuid", vm);
    put(writer, GUEST_READS, vm, "/local/domain/%u/vm", domid);
    put_number(writer, "domid", domid);
    put(writer, GUEST_READS, NULL, "/local/domain/%u/memory", domid);
    put(writer, GUEST_READS, NULL, "/local/domain/%u/control", domid);
    put(writer, GUEST_READS, NULL, "/local/domain/%u/device", domid);
    for (i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        put(writer, GUEST_OWNS, NULL, "/local/domain/%u/%s", domid, owned[i]);
    for (i = 0; i < spec->vcpus; i++)
        put(writer, GUEST_READS, "online", "/local/domain/%u/cpu/%zu/availability", domid, i);
    if (spec->building)
        return;
    put_number(writer, "memory/static-max", spec->static_max_kib);
    put_number(writer, "memory/target", target_node_kib(spec));
    put_number(writer, "memory/videoram", domain_video_kib(spec->type));
    put_start_time(writer, vm);
    put_number(writer, "store/port", 1);
    put_number(writer, "store/ring-ref", 1);
}

/* libxl's record of a domain; it reads the type from it, and wants the NUL at its end. */
static int write_record(const struct domain_spec *spec, const char *uuid)
{
    const char *type = domain_type_name(spec->type);
    char path[PATH_SIZE];
    FILE *file;
    int r;

    r = hv_path(path, sizeof(path), "lib/userdata-d.%u.%s.libxl-json", spec->domid, uuid);
    if (r < 0)
        return r;
    file = fopen(path, "w");
    if (!file)
        return -errno;
    fprintf(file,
            "{\"c_info\":{\"type\":\"%s\",\"name\":\"%s\",\"uuid\":\"%s\"},"
            "\"b_info\":{\"max_vcpus\":%u,\"max_memkb\":%" PRIu64 ",\"target_memkb\":%" PRIu64
            ",\"type.%s\":{}}}",
            type, spec->name, uuid, spec->vcpus, spec->static_max_kib, spec->target_kib, type);
    fputc('\0', file);
    return fclose(file) == 0 ? 0 : -errno;
}

int domain_publish(struct xs_handle *xs, struct hv *hv, const struct domain_spec *spec)
{
    struct writer writer = { .xs = xs, .domid = spec->domid };
    char uuid[37];
    int r;

    domain_uuid(hv, spec->domid, uuid);
    r = write_record(spec, uuid);
    if (r < 0)
        return r;
    for (;;) {
        writer.transaction = xs_transaction_start(xs);
        if (writer.transaction == XBT_NULL)
            return -errno;
        put_domain(&writer, spec, uuid);
        if (xs_transaction_end(xs, writer.transaction, writer.r < 0))
            break;
        if (errno != EAGAIN)
            return -errno;
    }
    if (writer.r < 0)
        return writer.r;
    return xs_introduce_domain(xs, spec->domid, 1, 1) ? 0 : -errno;
}

int domain_create(struct xs_handle *xs, struct hv *hv, const struct domain_spec *spec)
{
    struct hv_domain *domain;
    uint8_t uuid[16];
    int r;

    make_uuid(hv, spec->domid, uuid);
    r = hv_domain_create(hv, spec->domid, uuid, spec->type != DOMAIN_PV, spec->held_kib / 4,
                         (spec->target_kib + MAX_SLACK_KIB) / 4, spec->vcpus);
    if (r < 0)
        return r;
    if (spec->building) {
        hv_lock(hv);
        domain = hv_find(hv, spec->domid);
        if (domain) {
            domain->paused = true;
            domain->cpu_permille = 0;
        }
        hv_unlock(hv);
    }
    r = domain_publish(xs, hv, spec);
    if (r < 0)
        (void)domain_destroy(xs, hv, spec->domid);
    return r;
}

/* Until the store has let go of a domain, another with its number would be taken for it. */
static void wait_for_release(uint32_t domid)
{
    uint64_t end_ns = hv_now_ns() + RELEASE_NS;
    char door[PATH_SIZE];

    if (hv_path(door, sizeof(door), "guest/%u", domid) < 0)
        return;
    while (access(door, F_OK) == 0 && hv_now_ns() < end_ns)
        usleep(100);
}

int domain_destroy(struct xs_handle *xs, struct hv *hv, uint32_t domid)
{
    char path[PATH_SIZE];
    char uuid[37];
    int r;

    domain_uuid(hv, domid, uuid);
    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    (void)xs_rm(xs, XBT_NULL, path);
    snprintf(path, sizeof(path), "/vm/%s", uuid);
    (void)xs_rm(xs, XBT_NULL, path);
    snprintf(path, sizeof(path), "/libxl/%u", domid);
    (void)xs_rm(xs, XBT_NULL, path);
    if (hv_path(path, sizeof(path), "lib/userdata-d.%u.%s.libxl-json", domid, uuid) == 0)
        unlink(path);
    /* The event that this raises lets the store's daemon drop the domain. */
    r = hv_domain_destroy(hv, domid);
    wait_for_release(domid);
    return r;
}

/* libxenstore takes the socket's name from the environment. */
struct xs_handle *domain_connect(uint32_t domid)
{
    const char *path = getenv("XENSTORED_PATH");
    char *kept = path ? strdup(path) : NULL;
    char door[PATH_SIZE];
    struct xs_handle *xs = NULL;
    int error = ENAMETOOLONG;

    if (hv_path(door, sizeof(door), "guest/%u", domid) == 0) {
        setenv("XENSTORED_PATH", door, 1);
        xs = xs_open(0);
        error = errno;
    }
    if (kept)
        setenv("XENSTORED_PATH", kept, 1);
    else
        unsetenv("XENSTORED_PATH");
    free(kept);
    errno = error;
    return xs;
}

int domain_permit(struct xs_handle *xs, uint32_t domid, const char *node)
{
    struct xs_permissions owner = { .id = domid, .perms = XS_PERM_NONE };
    char path[PATH_SIZE];

    snprintf(path, sizeof(path), "/local/domain/%u/%s", domid, node);
    if (!xs_mkdir(xs, XBT_NULL, path) || !xs_set_permissions(xs, XBT_NULL, path, &owner, 1))
        return -errno;
    return 0;
}
