/* A file made of a string, a loop that is turned by hand, and a pool. */
#pragma once

#include "discovery/discovery.h"
#include "fake_sys.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *file_text; /* NULL: there is none */
static struct loop loop;
static struct pool *pool;
static unsigned changes;
static char said[8192];

static int read_text(struct conf_source *source, const char *path, struct bytes *ret_text)
{
    (void)source, (void)path;
    if (!file_text)
        return -ENOENT;
    *ret_text = (struct bytes){(const uint8_t *)strdup(file_text), strlen(file_text)};
    return 0;
}

static void write_said(struct log *log, struct bytes line)
{
    size_t used = strlen(said);

    (void)log;
    snprintf(said + used, sizeof said - used, "%.*s", (int)line.len, (const char *)line.at);
}

static uint64_t no_time(struct log *log)
{
    (void)log;
    return 0;
}

static void count_change(void *owner, struct pool *changed)
{
    EXPECT(owner == &changes && changed == pool);
    changes++;
}

static struct conf_source files = {.read = read_text};
static struct log world_log = {
    .write = write_said, .now_usec = no_time, .format = FORMAT_TEXT, .level = LEVEL_INFO};
static struct discovery_means world_means = {&loop, &world_log, &files, count_change, &changes};

static inline void world_begin(void)
{
    fake_reset();
    fake_calls.watch = 7;
    changes = 0;
    said[0] = '\0';
    EXPECT(loop_init(&loop) == 0);
    EXPECT(pool_new("chat", balancer_find("least_connections"), NULL, 0, NULL, &pool) == 0);
}

static inline void world_end(void)
{
    pool = pool_unref(pool);
    loop_done(&loop);
}

static inline void pass(uint64_t usec)
{
    fake_now_usec += usec;
    for (int i = 0; i < 4; i++) {
        EXPECT(loop_look(&loop) == 0);
        loop_run(&loop);
    }
}

static struct discovery_state seen;

static inline void keep_state(void *to, const struct discovery_state *now)
{
    (void)to;
    seen = *now;
}

static inline const struct discovery_state *state_of(const struct discovery *discovery)
{
    seen = (struct discovery_state){0};
    discovery_each(discovery, keep_state, NULL);
    return &seen;
}

static inline bool has_server(const char *text)
{
    struct address address;

    EXPECT(address_parse(text, &address) == 0);
    return pool_find(pool, &address) != NULL;
}
