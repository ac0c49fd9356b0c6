/* Between the files of discovery. */
#pragma once

#include "base/random.h"
#include "discovery/answers.h"
#include "discovery/discovery.h"

#define ORIGIN_WORDS_BYTES 256

struct origin;

/* One way of finding servers. */
struct finder {
    const char *name;
    void (*begin)(struct origin *origin); /* also when a configuration is in force anew */
    void (*turn)(struct origin *origin);  /* it is time to ask or look */
    void (*end)(struct origin *origin);   /* stops it, and frees what is its own */
};
extern const struct finder finder_dns, finder_file;

struct origin {
    struct list node; /* in discovery->origins */
    struct discovery *discovery;
    const struct finder *finder;
    struct pool *pool;                /* counted, of the configuration in force */
    char *what;                       /* the name with its port, or the path */
    uint32_t weight, max_connections; /* of who says no other */
    bool is_named;                    /* by the configuration that is adopted */
    struct timer timer;               /* posts the task */
    struct task task;
    uint64_t due_usec;               /* 0: never, or now */
    struct pool_member_spec *server; /* found last */
    size_t count;
    uint64_t found_wall_usec, failed_wall_usec;
    unsigned failures;
    char error[ORIGIN_WORDS_BYTES];
    /* names.c */
    struct question *question;
    struct knowledge knowledge;
    /* files.c */
    struct bytes text; /* read last; owned */
    bool is_judged;    /* the text */
    int watch;         /* of its directory; negative: none */
};

struct discovery {
    uint32_t magic;
    struct discovery_means means;
    struct list origins;
    struct resolver *resolver; /* NULL: no pool is found by name */
    struct source notices;     /* inotify; fd -1: no file is watched */
    struct random random;
};

/* Found: gives them to the pool, and says what has changed. `servers` is taken; `wrong`: what goes
 * wrong nevertheless, or NULL. */
void origin_found(struct origin *origin, struct pool_member_spec *take_servers, size_t count,
                  const char *wrong);
/* Nothing new is known: the pool keeps what it has, and that is logged the first time. */
__attribute__((format(printf, 2, 3))) void origin_failed(struct origin *origin, const char *format,
                                                         ...);
void origin_arm(struct origin *origin, uint64_t wait_usec);
void origin_disarm(struct origin *origin);

void files_close(struct discovery *discovery);
