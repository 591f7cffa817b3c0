/* SPDX-License-Identifier: ISC */
/* A round allocates nothing once its arrays have grown: dom0 may have no memory left. */
#define MODEL_GUESTS 600

#include "model.h"

static bool counting;
static size_t allocations;

#ifndef __SANITIZE_ADDRESS__
/* glibc's own, by the names that it keeps for those who replace them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    allocations += counting;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations += counting;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations += counting;
    return __libc_realloc(old, size);
}
#endif

static struct model model;

static void counted_round(void)
{
    uint64_t next_ms = 0;

    counting = true;
    CHECK_EQ(engine_round(&model.engine, &next_ms), 0);
    counting = false;
    model.now_ms += next_ms;
    for (size_t i = 0; i < MODEL_GUESTS; i += 7)
        model_move(&model, &model.guests[i]);
}

static void test_rounds(void)
{
    char error[128];

    model_init(&model, MODEL_GUESTS * 300 * MIB);
    for (size_t i = 0; i < MODEL_GUESTS; i++)
        model_add(&model, i, 256 * MIB, 1024 * MIB, 200 * MIB);
    counted_round();
#ifndef __SANITIZE_ADDRESS__
    CHECK(allocations > 0); /* the arrays: what counts does count */
#endif
    for (size_t i = 0; i < MODEL_GUESTS; i++)
        CHECK_EQ(config_set(&model.engine.config, model_domain(&model, i), "priority",
                            i % 3 ? "1" : "2", error, sizeof(error)),
                 0);
    allocations = 0;
    for (int i = 0; i < 40; i++) {
        struct model_guest *guest = &model.guests[(i * 37) % MODEL_GUESTS];

        guest->used_kib = (i % 2 ? 900 : 50) * MIB;
        guest->frozen = i % 5 == 0;
        guest->fail = i % 4 == 0 ? -EIO : 0;
        guest->there = i % 11 != 0;
        counted_round();
    }
    CHECK_EQ(allocations, 0);
    model_free_all(&model);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("a round allocates nothing", test_rounds);
    return check_done();
}
