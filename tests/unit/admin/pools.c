#include "admin/pools.c"

#include "conf/source.h"

#include "test.h"

/* A house of two pools, one of them of a name that is never asked for. */
struct world {
    struct admin_house house;
    struct worker main;
    struct log log;
    struct snapshot *snapshot;
    unsigned changes, sets, lines;
};

static void count_line(struct log *log, struct bytes line)
{
    container_of(log, struct world, log)->lines += line.len > 0;
}

static uint64_t no_time(struct log *log)
{
    (void)log;
    return 0;
}

static void count_change(struct admin_house *house)
{
    container_of(house, struct world, house)->changes++;
}

static void count_set(struct admin_house *house, struct server *server,
                      const struct pool_settings *settings)
{
    EXPECT(server && settings);
    container_of(house, struct world, house)->sets++;
}

static struct snapshot *snapshot_of(const char *text, struct snapshot *before)
{
    static struct fake_source fake = {.source = {.read = fake_read,
                                                 .expand = fake_expand,
                                                 .environment = fake_environment,
                                                 .is_address = fake_is_address}};
    const struct snapshot_means means = {.source = &fake.source, .workers = 1};
    struct report *report = report_new();
    struct settings *settings = settings_parse(&fake.source, "test", bytes_of(text), report);
    struct snapshot *snapshot = settings ? snapshot_new(&means, settings, before, report) : NULL;

    if (!snapshot)
        print_error("%s\n", report_text(report));
    EXPECT(snapshot);
    report_free(report);
    return snapshot;
}

#define FILE_OF(servers)                                                                           \
    "listeners: [ { listen: 127.0.0.1:8080 } ]\n"                                                  \
    "pools: { chat: { servers: [ " servers " ] }, web: { servers: [ 127.0.0.1:2 ] } }\n"           \
    "routes: [ { pool: chat } ]\n"

static struct world *world_begin(void)
{
    struct world *world = calloc(1, sizeof *world);

    EXPECT(world && worker_init(&world->main, 1, &world->log) == 0);
    world->log = (struct log){count_line, no_time, LEVEL_DEBUG, FORMAT_JSON};
    world->snapshot = snapshot_of(FILE_OF("127.0.0.1:1"), NULL);
    world->house = (struct admin_house){.members_changed = count_change,
                                        .server_set = count_set,
                                        .in_force = &world->snapshot,
                                        .main = &world->main};
    return world;
}

static void world_end(struct world *world)
{
    snapshot_unref(world->snapshot);
    worker_done(&world->main);
    free(world);
}

static void reload(struct world *world, const char *text)
{
    struct snapshot *before = world->snapshot;

    world->snapshot = snapshot_of(text, before);
    snapshot_in_force(world->snapshot);
    snapshot_unref(before);
}

/* What a door says, as JSON text in memory that lasts until the next one. */
static const char *open_door(struct world *world, const char *method, const char *path,
                             const char *body, unsigned *ret_status)
{
    static char said[8192];
    struct call *call = call_new(bytes_of(path));
    char error[256];

    EXPECT(call && query_parse(bytes_of(call->target), &call->query));
    call->house = &world->house;
    for (const struct door *door = doors_of_pools; door->method; door++)
        if (strcmp(door->method, method) == 0 && call_matches(call, door->path)) {
            call->door = door;
            break;
        }
    EXPECT(call->door && (!body || call_take_body(call, bytes_of(body), error)));
    json_t *json = call->door->on_main(call);
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(said, sizeof said, "%s", text);
    *ret_status = call->status;
    free(text);
    json_decref(json);
    call_free(call);
    return said;
}

struct exchange_of {
    const char *method, *path, *body;
    unsigned status;
    const char *words;
};

static void expect_all(struct world *world, const struct exchange_of *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned status;
        const char *said = open_door(world, rows[i].method, rows[i].path, rows[i].body, &status);
        if (status != rows[i].status || !strstr(said, rows[i].words))
            print_error("%s %s: %u %s\n", rows[i].method, rows[i].path, status, said);
        EXPECT(status == rows[i].status && strstr(said, rows[i].words));
    }
}

/* expect(world, method, path, body, status, words): one of them. */
#define expect(world, ...) expect_all(world, &(struct exchange_of){__VA_ARGS__}, 1)

#define SERVERS_OF_CHAT "/api/v1/pools/chat/servers"

TEST(a_server_comes_is_changed_and_goes)
{
    struct world *world = world_begin();
    const char *path = SERVERS_OF_CHAT "/[::1]:7";

    expect(world, "POST", SERVERS_OF_CHAT, "{\"address\":\"[::1]:7\",\"weight\":3}", 201,
           "\"weight\":3");
    EXPECT(world->changes == 1 && world->lines == 1);
    expect(world, "GET", SERVERS_OF_CHAT, NULL, 200, "\"changed\":[\"added\"]");
    expect(world, "PATCH", path, "{\"weight\":4,\"max_connections\":9,\"state\":\"drain\"}", 200,
           "\"state\":\"drain\"");
    EXPECT(world->sets == 1 && world->lines == 4 && world->changes == 1);
    expect(world, "GET", path, NULL, 200, "\"weight\":4,\"max_connections\":9");
    expect(world, "GET", "/api/v1/pools/chat", NULL, 200, "\"servers\":2,\"usable\":1");
    expect(world, "DELETE", path, NULL, 200, "\"removed\":\"chat/[::1]:7\"");
    expect(world, "GET", path, NULL, 404, "it has: 127.0.0.1:1");
    expect(world, "GET", "/api/v1/pools/chat", NULL, 200, "\"servers\":1,\"usable\":1");
    EXPECT(world->changes == 2);
    world_end(world);
}

TEST(what_will_not_do_changes_nothing)
{
    static const struct exchange_of rows[] = {
        {"POST", SERVERS_OF_CHAT, "{}", 422, "\"field\":\"address\""},
        {"POST", SERVERS_OF_CHAT, "{\"address\":\"a:1\"}", 422, "no server address"},
        {"POST", SERVERS_OF_CHAT, "{\"address\":\"127.0.0.1:1\"}", 409, "already"},
        {"POST", "/api/v1/pools/no/servers", "{\"address\":\"127.0.0.1:9\"}", 404,
         "there is: chat, web"},
        {"PATCH", SERVERS_OF_CHAT "/127.0.0.1:1", "{}", 422, "nothing to change"},
        {"PATCH", SERVERS_OF_CHAT "/127.0.0.1:1", "{\"weight\":4,\"state\":\"off\"}", 422,
         "\"field\":\"state\""},
        {"PATCH", SERVERS_OF_CHAT "/127.0.0.1:2", "{\"weight\":4}", 404, "it has: 127.0.0.1:1"},
        {"PATCH", SERVERS_OF_CHAT, "{\"weight\":4}", 400, "which server"},
        {"DELETE", SERVERS_OF_CHAT "?address=127.0.0.1:2", NULL, 404, "no server"},
    };
    struct world *world = world_begin();

    expect_all(world, rows, ARRAY_LEN(rows));
    EXPECT(!world->changes && !world->sets && !world->lines);
    json_t *changes = view_changes(world->snapshot);
    EXPECT(json_array_size(changes) == 0);
    json_decref(changes);
    world_end(world);
}

TEST(a_reload_keeps_what_was_done_by_hand_until_the_file_speaks_of_it)
{
    struct world *world = world_begin();

    expect(world, "PATCH", SERVERS_OF_CHAT "/127.0.0.1:1", "{\"weight\":5}", 200, "\"weight\":5");
    expect(world, "POST", SERVERS_OF_CHAT, "{\"address\":\"127.0.0.1:7\"}", 201, "added");
    reload(world, FILE_OF("127.0.0.1:1"));
    expect(world, "GET", SERVERS_OF_CHAT "/127.0.0.1:1", NULL, 200, "\"changed\":[\"weight\"]");
    expect(world, "GET", SERVERS_OF_CHAT "/127.0.0.1:7", NULL, 200, "\"changed\":[\"added\"]");
    reload(world, FILE_OF("{ address: 127.0.0.1:1, weight: 2 }, 127.0.0.1:7"));
    expect(world, "GET", SERVERS_OF_CHAT "/127.0.0.1:1", NULL, 200, "\"weight\":2");
    expect(world, "GET", SERVERS_OF_CHAT "/127.0.0.1:7", NULL, 200, "\"changed\":[]");
    world_end(world);
}
