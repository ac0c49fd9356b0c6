#include "proxy/tell.c"

#include "test.h"

#define COUNT 3

static unsigned runs;

static void note(struct proxy *proxy)
{
    proxy->exchanges++;
    runs++;
}

static struct proxy *proxy_begin(unsigned number)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);

    EXPECT(proxy && worker_init(&proxy->worker, number, NULL) == 0);
    return proxy;
}

TEST(each_worker_is_told_once_in_its_own_turn)
{
    struct proxy *proxies[COUNT] = {proxy_begin(0), proxy_begin(1), proxy_begin(2)};

    runs = 0;
    EXPECT(proxy_tell_all(proxies, COUNT, note) == 0);
    EXPECT(proxy_tell_all(proxies, COUNT, note) == 0);
    EXPECT(runs == 0);
    EXPECT(worker_turn(&proxies[1]->worker) == 0);
    EXPECT(runs == 2 && proxies[1]->exchanges == 2);
    EXPECT(worker_turn(&proxies[0]->worker) == 0);
    EXPECT(proxies[0]->exchanges == 2 && proxies[2]->exchanges == 0);
    for (unsigned i = 0; i < COUNT; i++)
        worker_done(&proxies[i]->worker); /* the last one is told while it is closed */
    EXPECT(runs == 2 * COUNT && proxies[2]->exchanges == 2);
    for (unsigned i = 0; i < COUNT; i++)
        free(proxies[i]);
}
