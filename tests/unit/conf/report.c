#include "conf/report.c"

#include "source.h"

static void expect_report(struct report *take_report, const char *wanted)
{
    char *text = report_text(take_report);

    expect_text(text, wanted);
    free(text);
    report_free(take_report);
}

TEST(errors_are_sorted_and_show_their_line)
{
    struct report *report = report_new();

    report_know(report, "b", bytes_of("one\n\ttwo: x\r\nthree"));
    report_know(report, "a", bytes_of("first"));
    report_add(report, (struct mark){"a", 1, 2}, NULL, "in the second %s", "file");
    report_add(report, (struct mark){"b", 3, 1}, NULL, "last");
    report_add(report, (struct mark){"b", 2, 7}, "do so", "later");
    report_add(report, (struct mark){"b", 2, 2}, NULL, "earlier");
    report_add(report, (struct mark){"b", 2, 2}, NULL, "found after it");
    report_add(report, (struct mark){"c", 0, 0}, NULL, "no line");
    report_add(report, (struct mark){"c", 9, 9}, NULL, "no text");
    report_add(report, (struct mark){0}, NULL, "no file");
    EXPECT(report_count(report) == 8);
    expect_report(report, "error: no file\n"
                          "b:2:2: error: earlier\n    \ttwo: x\n    \t^\n"
                          "b:2:2: error: found after it\n    \ttwo: x\n    \t^\n"
                          "b:2:7: error: later\n    \ttwo: x\n    \t     ^\n  do so\n"
                          "b:3:1: error: last\n    three\n    ^\n"
                          "a:1:2: error: in the second file\n    first\n     ^\n"
                          "c: error: no line\n"
                          "c:9:9: error: no text\n"
                          "8 errors\n");
}

TEST(the_report_outlives_what_it_is_about)
{
    struct report *report = report_new();
    char *file = strdup("name"), *text = strdup("text");

    report_know(report, file, bytes_of(text));
    report_add(report, (struct mark){file, 1, 1}, NULL, "wrong");
    free(file);
    free(text);
    expect_report(report, "name:1:1: error: wrong\n    text\n    ^\n1 error\n");
}

TEST(columns_are_characters_and_nothing_reaches_the_terminal)
{
    struct report *report = report_new();

    report_know(report, "f", bytes_of("\xc3\xa4\xe2\x82\xac: \x1b[1m"));
    report_add(report, (struct mark){"f", 1, 5}, NULL, "\x1b[2Jwrong\n");
    expect_report(report,
                  "f:1:5: error: ?[2Jwrong?\n    \xc3\xa4\xe2\x82\xac: ?[1m\n        ^\n1 error\n");
}

TEST(of_a_long_line_the_part_around_is_shown)
{
    struct report *report = report_new();
    char line[1001] = "", wanted[512];

    memset(line, 'x', 1000);
    line[499] = '!';
    report_know(report, "f", bytes_of(line));
    report_add(report, (struct mark){"f", 1, 500}, NULL, "wrong");
    char *text = report_text(report);
    snprintf(wanted, sizeof wanted, "f:1:500: error: wrong\n    %.79s!%.80s\n    %79s^\n1 error\n",
             line, line, "");
    expect_text(text, wanted);
    free(text);
    report_free(report);
}

TEST(a_hundred_errors_are_kept_and_the_others_counted)
{
    struct report *report = report_new();
    struct told told = {0};

    for (uint32_t i = 0; i < 103; i++)
        report_add(report, (struct mark){"f", i + 1, 1}, NULL, "e");
    EXPECT(report_count(report) == 103);
    report_each(report, tell, &told);
    EXPECT(strstr(told.text, "f:100:1 e\n") && !strstr(told.text, "f:101:1"));
    char *text = report_text(report);
    EXPECT(strstr(text, "\nand 3 more\n103 errors\n"));
    free(text);
    report_free(report);
}

TEST(what_yaml_takes_for_something_else_is_told_to_be_quoted)
{
    static const struct {
        const char *line;
        uint32_t column;
        const char *word; /* NULL: no advice */
    } rows[] = {
        {"path: /rooms/{room}", 1, "/rooms/{room}"},
        {"a: { path: /rooms/{room} }", 20, "/rooms/{room}"},
        {"a: [{path: /rooms/{room}}]", 20, "/rooms/{room}"},
        {"a: { path: /{a}/b, prefix: c }", 13, "/{a}/b"},
        {"listen: [::1]:80", 14, "[::1]:80"},
        {"- { listen: [::1]:80 }", 3, "[::1]:80"},
        {"host: *.example.com", 7, "*.example.com"},
        {"a: {host: *.example.com}", 11, "*.example.com"},
        {"user: @me", 7, "@me"},
        {"user: %me", 7, "%me"},
        {"path: {room}", 7, "{room}"},
        {"a: &x { connect: 3 }", 18, NULL}, /* an anchor that is meant, and an error elsewhere */
        {"a: b # {x}/", 4, NULL},
        {"host: \"*.example.com\"", 7, NULL},
        {"a: [ 1, 2 ]", 4, NULL},
        {"", 1, NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct report *report = report_new();
        char wanted[256];
        report_know(report, "f", bytes_of(rows[i].line));
        char *hint = report_quote_hint(report, (struct mark){"f", 1, rows[i].column});
        snprintf(wanted, sizeof wanted,
                 "YAML reads this as something else than text; put it in quotes: \"%s\"",
                 rows[i].word ? rows[i].word : "");
        expect_text(hint ? hint : "", rows[i].word ? wanted : "");
        free(hint);
        report_free(report);
    }
}

TEST(what_stands_before_the_host_of_a_url_is_not_shown)
{
    static const struct {
        const char *line, *shown;
    } rows[] = {
        {"a: \"redis://joe:pa@ss@h:1/0\" # x@y", "a: \"redis://*********@h:1/0\" # x@y"},
        {"a: redis://:\xc3\xa9@h, b: http://u:p@h", "a: redis://**@h, b: http://***@h"},
        {"a: http://h/@x", "a: http://**@x"}, /* nobody wants to know */
        {"a: http://h, b: c@d", "a: http://h, b: c@d"},
        {"a: x@y://", "a: x@y://"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct report *report = report_new();
        report_know(report, "f", bytes_of(rows[i].line));
        report_add(report, (struct mark){"f", 1, 1}, NULL, "wrong");
        char *text = report_text(report);
        EXPECT(strstr(text, rows[i].shown));
        free(text);
        report_free(report);
    }
}
