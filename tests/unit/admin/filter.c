#include "admin/filter.c"

#include "test.h"

static const struct flow_step steps[] = {{"read_head", NULL}, {"relay", NULL}};
static const struct flow_kind kind = {.name = "tunnel", .steps = steps, .step_count = 2};

static bool parse(const char *target, struct filter *ret_filter, const char **ret_what)
{
    struct query query;

    EXPECT(query_parse(bytes_of(target), &query));
    return filter_parse(&query, ret_filter, ret_what);
}

static struct filter filter_of(const char *target)
{
    struct filter filter;
    const char *what;

    EXPECT(parse(target, &filter, &what));
    return filter;
}

TEST(a_filter_is_read_with_its_bounds)
{
    static const char *const bad[] = {"/c?limit=0",  "/c?limit=1001",   "/c?limit=x", "/c?limit=",
                                      "/c?after=-1", "/c?idle_usec=1s", "/c?pol=x",   "/c?Pool=x"};
    struct filter filter =
        filter_of("/c?pool=chat&server=chat%2F1.2.3.4%3A5&client=10.&idle_usec=7&after=8");
    const char *what = NULL;

    EXPECT(strcmp(filter.pool, "chat") == 0 && strcmp(filter.server, "chat/1.2.3.4:5") == 0);
    EXPECT(strcmp(filter.client, "10.") == 0 && strcmp(filter.state, "") == 0);
    EXPECT(filter.idle_usec == 7 && filter.after == 8 && filter.limit == FILTER_LIMIT_DEFAULT);
    EXPECT(filter_of("/c?limit=1000").limit == 1000);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        what = NULL;
        EXPECT(!parse(bad[i], &filter, &what) && what);
    }
}

static bool holds(const char *target, const struct connection *c)
{
    struct filter filter = filter_of(target);

    return filter_matches(&filter, c);
}

TEST(a_connection_is_matched_by_each_of_its_properties)
{
    static struct runner runner;
    static struct server server;
    static struct connection c;

    runner.loop.now_usec = 5000;
    memcpy(server.name, "chat/1.2.3.4:5", sizeof "chat/1.2.3.4:5");
    c.flow = (struct flow){
        .kind = &kind, .runner = &runner, .number = 4711, .entered_usec = 2000, .step = 1};
    EXPECT(address_parse("10.0.0.1:99", &c.peer) == 0);

    EXPECT(holds("/c", &c));
    EXPECT(holds("/c?after=4710", &c) && !holds("/c?after=4711", &c));
    EXPECT(holds("/c?state=relay", &c) && !holds("/c?state=rela", &c));
    EXPECT(holds("/c?client=10.0.0.1", &c) && holds("/c?client=10.", &c) &&
           !holds("/c?client=10.0.0.1:98", &c));
    EXPECT(holds("/c?idle_usec=3000", &c) && !holds("/c?idle_usec=3001", &c));
    EXPECT(!holds("/c?pool=chat", &c) && !holds("/c?route=1", &c)); /* not routed yet */
    EXPECT(!holds("/c?server=chat/1.2.3.4:5", &c));
    c.chosen = &server;
    EXPECT(holds("/c?server=chat/1.2.3.4:5", &c) && !holds("/c?server=chat/1.2.3.4:6", &c));
    EXPECT(!holds("/c?server=chat/1.2.3.4:5&state=dial", &c));
}
