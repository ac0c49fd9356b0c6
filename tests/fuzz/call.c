/* A request target, then a line feed and a body. What a path's pattern takes out of it, escaped and
 * put in again, comes out again; a body's fields are read as they are, or complained about. */
#include "admin/client_priv.h"
#include "admin/form.h"

#include "fuzz.h"

static const char pattern[] = "/pools/{pool}/servers/{address}";
static const char *const fields[] = {"address", "weight", "over", "rate", "share", NULL};

static bool is_same(const struct call *a, const struct call *b, const char *name)
{
    const char *of_a = call_text(a, name), *of_b = call_text(b, name);

    return of_a && of_b && strcmp(of_a, of_b) == 0;
}

static void come_again(const struct call *call)
{
    char pool[3 * CALL_PARAM_BYTES], address[3 * CALL_PARAM_BYTES], path[7 * CALL_PARAM_BYTES];

    REQUIRE(call->param_count == 2 && *call_text(call, "pool") && *call_text(call, "address"));
    REQUIRE(client_escape(call_text(call, "pool"), pool, sizeof pool));
    REQUIRE(client_escape(call_text(call, "address"), address, sizeof address));
    snprintf(path, sizeof path, "/pools/%s/servers/%s", pool, address);
    struct call *again = call_new(bytes_of(path));
    REQUIRE(again && query_parse(bytes_of(again->target), &again->query));
    REQUIRE(call_matches(again, pattern));
    REQUIRE(is_same(call, again, "pool") && is_same(call, again, "address"));
    call_free(again);
}

static void read_fields(struct call *call)
{
    struct form form = form_of(call, fields);
    const char *address = NULL;
    uint64_t weight = 7, over = 7, share = 7;
    struct rate rate = {7, 7};

    form_text(&form, "address", &address);
    form_number(&form, "weight", 1, 256, &weight);
    form_time(&form, "over", 3600000000u, &over);
    form_percent(&form, "share", 100, &share);
    form_rate(&form, "rate", 1000, &rate);
    REQUIRE(weight >= 1 && weight <= 256 && over <= 3600000000u && share <= 100);
    REQUIRE(rate.count && rate.count <= 1000 && rate.per_usec);
    REQUIRE(!form.wrong || (form.error[0] && form.what_to_do[0]));
    if (form.wrong) {
        json_t *answer = form_refuse(&form);
        REQUIRE(call->status == 422);
        json_decref(answer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes in = exact((struct bytes){at, len});
    size_t end = bytes_find(in, bytes_of("\n"), 0);
    struct call *call = call_new(bytes_slice(in, 0, end));
    char error[256] = "";

    REQUIRE(call != NULL);
    if (query_parse(bytes_of(call->target), &call->query) && call_matches(call, pattern))
        come_again(call);
    if (call_take_body(call, bytes_from(in, end + 1), error))
        read_fields(call);
    else
        REQUIRE(error[0]);
    call_free(call);
    exact_free(in);
    return 0;
}
