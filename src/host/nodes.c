/* SPDX-License-Identifier: ISC */
#include "host/nodes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOMAINS "/local/domain/"

const char *const nodes_watched[] = { "name", "memory", "data", NULL };

const char *nodes_path(uint32_t domid, const char *node, char path[NODES_PATH_SIZE])
{
    (void)snprintf(path, NODES_PATH_SIZE, DOMAINS "%" PRIu32 "/%s", domid, node);
    return path;
}

/* A directory itself: it was made or removed, or the watch was just set. */
unsigned nodes_stale_by(const char *path)
{
    static const struct {
        const char *node;
        unsigned stale;
    } nodes[] = {
        { "data/ballast/stats", NODES_BALLAST },
        { "data/ballast", NODES_BALLAST },
        { "data/meminfo_free", NODES_XENSERVER },
        { "data/meminfo_total", NODES_XENSERVER },
        { "data/updated", NODES_XENSERVER },
        { "memory/meminfo", NODES_QUBES },
        { "memory/swapinfo", NODES_QUBES },
        { "memory/selftarget", NODES_SELFBALLOON },
        { "memory/minimum", NODES_SELFBALLOON },
        { "memory/selfballoon", NODES_SELFBALLOON },
        { "memory/target", NODES_TARGET },
        { "memory/static-max", NODES_TARGET },
        { "memory", NODES_TARGET | NODES_QUBES | NODES_SELFBALLOON },
        { "data", NODES_BALLAST | NODES_XENSERVER },
        { "name", NODES_NAME },
    };
    const char *node = path + strlen(DOMAINS);

    node = strchr(node, '/');
    for (size_t i = 0; node && i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (strcmp(node + 1, nodes[i].node) == 0)
            return nodes[i].stale;
    }
    return 0;
}

/* The value of a node, NUL-terminated; NULL when it cannot be read. The caller frees it. */
static char *read_node(struct store *store, uint32_t domid, const char *node, size_t *ret_len)
{
    char path[NODES_PATH_SIZE];
    char *value;

    return store_read(store, nodes_path(domid, node, path), &value, ret_len) < 0 ? NULL : value;
}

int nodes_read_kib(struct store *store, uint32_t domid, const char *node, uint64_t *ret_kib)
{
    size_t len;
    char *value = read_node(store, domid, node, &len);
    int r;

    if (!value)
        return -ENOENT;
    r = report_number(value, len, FILL_KIB_MAX, ret_kib);
    free(value);
    return r;
}

void nodes_read_name(struct store *store, struct domain *domain)
{
    size_t len;
    char *name = read_node(store, domain->domid, "name", &len);
    char old[DOMAIN_NAME_SIZE];

    memcpy(old, domain->name, sizeof(old));
    domain->nameless = !name && (domain->nameless || domain->name[0] == '\0');
    if (name)
        (void)snprintf(domain->name, sizeof(domain->name), "%s", name);
    else if (domain->name[0] == '\0')
        (void)snprintf(domain->name, sizeof(domain->name), "(domain %" PRIu32 ")", domain->domid);
    free(name);
    if (strcmp(old, domain->name) != 0)
        domain->config_generation = 0;
}

/* dom0's static-max may be that of no machine: nobody can have more than the host. */
void nodes_read_target(struct store *store, uint64_t total_kib, struct domain *domain,
                       uint64_t *ret_videoram_kib)
{
    uint64_t static_max;
    uint64_t target;
    int r;

    if (nodes_read_kib(store, domain->domid, "memory/videoram", ret_videoram_kib) < 0)
        *ret_videoram_kib = 0;
    domain->has_target = nodes_read_kib(store, domain->domid, "memory/target", &target) == 0;
    if (domain->has_target)
        domain->target_kib = target + *ret_videoram_kib;
    r = nodes_read_kib(store, domain->domid, "memory/static-max", &static_max);
    if (r == -ERANGE)
        static_max = total_kib;
    else if (r < 0)
        static_max = domain->has_target ? domain->target_kib : domain->actual_kib;
    if (static_max > total_kib)
        static_max = total_kib;
    if (static_max != domain->static_max_kib)
        domain->config_generation = 0;
    domain->static_max_kib = static_max;
}

/* Reads one dialect's two nodes (the second may be NULL) and gives them to the parser. Returns
 * -ENOENT when the first is not there. */
static int read_post(struct store *store, struct domain *domain, enum dialect dialect,
                     const char *first, const char *second, uint64_t now)
{
    struct post_text one = { 0 };
    struct post_text two = { 0 };
    char *first_text = read_node(store, domain->domid, first, &one.len);
    char *second_text = NULL;
    struct post *post = &domain->post;
    uint64_t on;
    int r = -ENOENT;

    if (!first_text)
        return r;
    one.text = first_text;
    if (second)
        second_text = read_node(store, domain->domid, second, &two.len);
    two.text = second_text;
    switch (dialect) {
    case DIALECT_BALLAST:
        r = post_take_ballast(post, one, domain->actual_kib, now);
        break;
    case DIALECT_XENSERVER:
        r = post_take_xenserver(post, one, two, domain->actual_kib, now);
        break;
    case DIALECT_QUBES:
        r = post_take_qubes(post, one, two, domain->actual_kib, domain->static_max_kib, now);
        break;
    case DIALECT_SELFBALLOON:
        /* Switched off, by whoever may write there: what stands in the other nodes is old. */
        if (nodes_read_kib(store, domain->domid, "memory/selfballoon", &on) < 0 || on != 0)
            r = post_take_selfballoon(post, one, two, domain->actual_kib, now);
        break;
    case DIALECT_NONE:
        break;
    }
    free(first_text);
    free(second_text);
    return r;
}

static const struct {
    enum dialect dialect;
    unsigned stale;
    const char *first;
    const char *second;
} post_nodes[] = {
    { DIALECT_BALLAST, NODES_BALLAST, REPORT_NODE, NULL },
    { DIALECT_XENSERVER, NODES_XENSERVER, "data/meminfo_total", "data/meminfo_free" },
    { DIALECT_QUBES, NODES_QUBES, "memory/meminfo", "memory/swapinfo" },
    { DIALECT_SELFBALLOON, NODES_SELFBALLOON, "memory/selftarget", "memory/minimum" },
};

enum dialect nodes_read_posts(struct store *store, struct domain *domain, unsigned stale,
                              uint64_t now_ms)
{
    enum dialect bad = DIALECT_NONE;

    for (size_t i = 0; i < sizeof(post_nodes) / sizeof(post_nodes[0]); i++) {
        enum dialect dialect = post_nodes[i].dialect;
        int r;

        if (!(stale & post_nodes[i].stale))
            continue;
        if (domain->post.dialect != DIALECT_NONE && domain->post.dialect < dialect
            && post_usable(&domain->post, now_ms))
            continue;
        r = read_post(store, domain, dialect, post_nodes[i].first, post_nodes[i].second, now_ms);
        if (r == -ENOENT && domain->post.dialect == dialect)
            memset(&domain->post, 0, sizeof(domain->post));
        else if (r == -EINVAL)
            bad = dialect;
    }
    return bad;
}
