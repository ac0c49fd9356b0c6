/* Files of servers. What is taken is within bounds and names nobody twice; written out again, it is
 * taken again and means the same. */
#include "discovery/list.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

static void hear(void *to, unsigned line, const char *words)
{
    REQUIRE(line > 0 && words[0]);
    ++*(unsigned *)to;
}

static size_t write_one(char *text, size_t size, const struct pool_member_spec *server)
{
    char address[ADDRESS_TEXT_BYTES];

    return (size_t)snprintf(text, size, "%s weight=%u max_connections=%u%s\n",
                            address_write(&server->address, address), server->weight,
                            server->max_connections, server->is_backup ? " backup" : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    const struct pool_member_spec preset = {.weight = 1};
    struct pool_member_spec *servers = NULL, *again = NULL;
    struct bytes in = exact((struct bytes){at, len});
    size_t count = 0, again_count = 0, used = 0;
    unsigned told = 0;
    int error = list_parse(in, &preset, hear, &told, &servers, &count);

    REQUIRE(!error == !told);
    if (!error) {
        size_t size = count * 128 + 1;
        char *text = calloc(1, size);
        for (size_t i = 0; i < count; i++) {
            REQUIRE(servers[i].weight >= 1 && servers[i].weight <= BALANCER_WEIGHT_MAX);
            used += write_one(text + used, size - used, &servers[i]);
        }
        REQUIRE(!list_parse(bytes_of(text), &preset, hear, &told, &again, &again_count));
        REQUIRE(again_count == count && !told);
        for (size_t i = 0; i < count; i++)
            REQUIRE(address_equal(&servers[i].address, &again[i].address) &&
                    servers[i].weight == again[i].weight &&
                    servers[i].is_backup == again[i].is_backup);
        free(text);
        free(again);
        free(servers);
    }
    exact_free(in);
    return 0;
}
