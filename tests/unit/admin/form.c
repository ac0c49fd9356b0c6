#include "admin/form.c"

#include "test.h"

static const char *const fields[] = {"address", "weight", "backup", "over",
                                     "rate",    "share",  "state",  NULL};
static const char *const states[] = {"up", "drain", "down", NULL};

static struct call *call_of(const char *body)
{
    struct call *call = call_new(bytes_of("/"));
    char error[256];

    EXPECT(call && call_take_body(call, bytes_of(body), error));
    return call;
}

struct said {
    const char *address;
    uint64_t weight, over, share;
    bool backup;
    struct rate rate;
    unsigned state;
};

static struct form read_all(struct call *call, struct said *said)
{
    struct form form = form_of(call, fields);

    form_text(&form, "address", &said->address);
    form_number(&form, "weight", 1, 256, &said->weight);
    form_flag(&form, "backup", &said->backup);
    form_time(&form, "over", 3600000000u, &said->over);
    form_rate(&form, "rate", 1000, &said->rate);
    form_percent(&form, "share", 100, &said->share);
    form_word(&form, "state", states, &said->state);
    return form;
}

TEST(what_is_said_is_read_and_the_rest_stays)
{
    struct call *call = call_of("{\"address\":\"1.2.3.4:5\",\"weight\":7,\"backup\":true,"
                                "\"over\":\"30s\",\"rate\":\"50/s\",\"state\":\"down\"}");
    struct said said = {.share = 3};
    struct form form = read_all(call, &said);

    EXPECT(!form.wrong && form_has(&form, "weight") && !form_has(&form, "share"));
    EXPECT(said.address && strcmp(said.address, "1.2.3.4:5") == 0);
    EXPECT(said.weight == 7 && said.backup);
    EXPECT(said.over == 30000000 && said.rate.count == 50 && said.rate.per_usec == 1000000);
    EXPECT(said.share == 3 && said.state == 2);
    call_free(call);
}

TEST(what_is_wrong_is_said_with_its_field_and_the_way_out)
{
    static const struct {
        const char *body, *field, *error, *what_to_do;
    } rows[] = {
        {"{\"wieght\":1}", "wieght", "there is no field \"wieght\"", "weight"},
        {"{\"zzzzzzzz\":1}", "zzzzzzzz", "there is no field", "address, weight"},
        {"{\"address\":5}", "address", "address is no text", "in quotes"},
        {"{\"address\":\"\"}", "address", "address is empty", "write something"},
        {"{\"weight\":0}", "weight", "weight will not do", "from 1 to 256"},
        {"{\"weight\":257}", "weight", "weight will not do", "from 1 to 256"},
        {"{\"weight\":-1}", "weight", "weight will not do", "from 1 to 256"},
        {"{\"weight\":1.5}", "weight", "weight will not do", "whole number"},
        {"{\"weight\":\"5\"}", "weight", "weight will not do", "whole number"},
        {"{\"weight\":null}", "weight", "weight will not do", "whole number"},
        {"{\"backup\":1}", "backup", "neither true nor false", "true or false"},
        {"{\"over\":30}", "over", "over is no text", "3s"},
        {"{\"over\":\"30\"}", "over", "\"30\" will not do", "3s"},
        {"{\"over\":\"2h\"}", "over", "is too large", "at most 1h"},
        {"{\"rate\":\"0\"}", "rate", "will not do", "50/s"},
        {"{\"rate\":\"5000/s\"}", "rate", "too large", "smaller"},
        {"{\"share\":\"10\"}", "share", "will not do", "10%"},
        {"{\"share\":\"101%\"}", "share", "too large", "at most 100%"},
        {"{\"state\":\"off\"}", "state", "\"off\" will not do", "up, drain, down"},
        {"{\"weight\":0,\"state\":\"off\"}", "weight", "weight", "from 1"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call *call = call_of(rows[i].body);
        struct said said = {.weight = 3};
        struct form form = read_all(call, &said);
        if (!form.wrong || !strstr(form.error, rows[i].error) ||
            !strstr(form.what_to_do, rows[i].what_to_do))
            print_error("%s: %s; %s\n", rows[i].body, form.error, form.what_to_do);
        EXPECT(form.wrong && strcmp(form.wrong, rows[i].field) == 0);
        EXPECT(strstr(form.error, rows[i].error) && strstr(form.what_to_do, rows[i].what_to_do));
        EXPECT(said.weight == 3);
        json_t *answer = form_refuse(&form);
        EXPECT(call->status == 422 && json_object_get(answer, "field"));
        json_decref(answer);
        call_free(call);
    }
}
