#include "discovery/list.c"

#include "test.h"

static char told[4096];

static void hear(void *to, unsigned line, const char *words)
{
    size_t used = strlen(told);

    (void)to;
    snprintf(told + used, sizeof told - used, "%u: %s\n", line, words);
}

static int parse(const char *text, struct pool_member_spec **ret_servers, size_t *ret_count)
{
    const struct pool_member_spec preset = {.weight = 3, .max_connections = 9};

    told[0] = '\0';
    return list_parse(bytes_of(text), &preset, hear, NULL, ret_servers, ret_count);
}

TEST(one_server_a_line)
{
    struct pool_member_spec *servers;
    char text[ADDRESS_TEXT_BYTES];
    size_t count;

    EXPECT(parse("# servers of chat\n\n127.0.0.1:1\n \t 127.0.0.1:2 weight=256 backup # spare\r\n"
                 "[::1]:3\tmax_connections=0\tweight=1",
                 &servers, &count) == 0);
    EXPECT(count == 3);
    EXPECT(servers[0].weight == 3 && servers[0].max_connections == 9 && !servers[0].is_backup);
    EXPECT(servers[1].weight == 256 && servers[1].is_backup);
    EXPECT(servers[2].weight == 1 && servers[2].max_connections == 0);
    EXPECT(strcmp(address_write(&servers[2].address, text), "[::1]:3") == 0);
    free(servers);
}

TEST(nothing_is_no_error)
{
    static const char *const texts[] = {"", "\n\n", "# 127.0.0.1:1\n", " \r\n"};
    struct pool_member_spec *servers;
    size_t count;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        EXPECT(parse(texts[i], &servers, &count) == 0 && count == 0);
        free(servers);
    }
}

TEST(bad_lines_are_told_with_their_number)
{
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"localhost:1\n", "1: \"localhost:1\" is no server address; write 127.0.0.1:9001 or "
                          "[::1]:9001\n"},
        {"\n127.0.0.1\n", "2: \"127.0.0.1\" is no server address; write 127.0.0.1:9001 or "
                          "[::1]:9001\n"},
        {"127.0.0.1:1 weight=0\n127.0.0.1:2 weight=257\n127.0.0.1:3 weight=\n127.0.0.1:4 "
         "weight=1x\n",
         "1: weight is a number from 1 to 256\n2: weight is a number from 1 to 256\n"
         "3: weight is a number from 1 to 256\n4: weight is a number from 1 to 256\n"},
        {"127.0.0.1:1 max_connections=-1\n127.0.0.1:2 max_connections=99999999999999999999\n",
         "1: max_connections is a number from 0 to 10000000\n"
         "2: max_connections is a number from 0 to 10000000\n"},
        {"127.0.0.1:1 wieght=1 backup=yes\n",
         "1: \"wieght=1\" is not known here\n1: \"backup=yes\" is not known here\n"},
        {"127.0.0.1:1\n[::1]:1\n127.0.0.1:1 weight=2\n",
         "3: the server of line 1 again; give it a weight instead\n"},
    };
    struct pool_member_spec *servers = NULL;
    size_t count;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT(parse(rows[i].text, &servers, &count) == -EINVAL);
        if (strcmp(told, rows[i].told) != 0)
            print_error("is:\n%swanted:\n%s", told, rows[i].told ? rows[i].told : "");
        EXPECT(strcmp(told, rows[i].told) == 0);
    }
    EXPECT(!servers);
}

TEST(what_is_no_text_is_no_address)
{
    const char text[] = "127.0.0.1:1\0 weight=2\n";
    const struct pool_member_spec preset = {.weight = 1};
    struct pool_member_spec *servers;
    size_t count;

    told[0] = '\0';
    EXPECT(list_parse((struct bytes){(const uint8_t *)text, sizeof text - 1}, &preset, hear, NULL,
                      &servers, &count) == -EINVAL);
}

TEST(it_has_an_end)
{
    size_t size = 10001 * 24 + 1, used = 0, count;
    struct pool_member_spec *servers;
    char *text = malloc(size);

    EXPECT(text);
    for (unsigned i = 0; i < 10000; i++)
        used += (size_t)snprintf(text + used, size - used, "10.0.%u.%u:1\n", i / 250, i % 250);
    EXPECT(parse(text, &servers, &count) == 0 && count == 10000);
    free(servers);
    snprintf(text + used, size - used, "10.1.0.0:1\n");
    EXPECT(parse(text, &servers, &count) == -EINVAL);
    EXPECT(strcmp(told, "10001: that is more than 10000 servers\n") == 0);
    for (size_t i = 0; i < 100; i++)
        memcpy(text + i * 2, "x\n", 3);
    EXPECT(parse(text, &servers, &count) == -EINVAL);
    EXPECT(strstr(told, "20: ") && !strstr(told, "21: "));
    free(text);
}
