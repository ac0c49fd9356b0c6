#include "conf/yaml.c"

#include "source.h"

static struct tree *parse(struct arena *arena, const char *text, size_t len, struct told *ret_told)
{
    struct report *report = report_new();
    struct tree *tree = yaml_parse(arena, "f", (struct bytes){(const uint8_t *)text, len}, report);

    *ret_told = (struct told){0};
    report_each(report, tell, ret_told);
    EXPECT(!tree == (ret_told->len > 0));
    report_free(report);
    return tree;
}

TEST(every_node_knows_where_it_stands)
{
    struct arena arena;
    struct told told;
    const char *text = "a: 1\nb:\n  - x\n  - 'y'\nc: { d: \"z\" }\n";

    arena_init(&arena);
    struct tree *tree = parse(&arena, text, strlen(text), &told);
    EXPECT(tree && tree->kind == TREE_MAP);

    struct tree_entry *a = tree_find(tree, "a"), *b = tree_find(tree, "b"),
                      *c = tree_find(tree, "c");
    EXPECT(a && a->mark.line == 1 && a->mark.column == 1 && a->value->mark.column == 4);
    EXPECT(b && b->value->kind == TREE_LIST && b->value->first->value->mark.line == 3);
    EXPECT(b->value->first->value->mark.column == 5 && !b->value->first->value->is_quoted);
    EXPECT(b->value->last->value->mark.column == 5 && b->value->last->value->is_quoted);
    struct tree_entry *d = tree_find(c->value, "d");
    EXPECT(d && d->mark.line == 5 && d->mark.column == 6 && d->value->mark.column == 9);
    EXPECT(strcmp(d->value->text, "z") == 0 && !tree_find(tree, "d"));
    arena_done(&arena);
}

TEST(what_is_no_yaml_is_told_with_its_place)
{
#define ROW(text, wanted)                                                                          \
    {                                                                                              \
        text, sizeof text - 1, wanted                                                              \
    }
    static const struct {
        const char *text;
        size_t len;
        const char *wanted;
    } rows[] = {
        ROW("a: b\0c\n", "f:1:5 a NUL byte: this is no text file\n"),
        ROW("a: 1\nb: \xff\n", "f:2:4 this is no UTF-8\n"),
        ROW("a: \xc3", "f:1:4 this is no UTF-8\n"),
        ROW("a: \xc0\xaf", "f:1:4 this is no UTF-8\n"),
        ROW("a: \xed\xa0\x80", "f:1:4 this is no UTF-8\n"),
        ROW("a: \xf4\x90\x80\x80", "f:1:4 this is no UTF-8\n"),
        ROW("\xc3\xa4: \x1b[1m", "f:1:4 a control character\n"),
        ROW("%\"\xa6", "f:1:1 a line cannot begin with \"%\"\n"),
        ROW("a:\n\t- b\n", "f:2:1 YAML: tab character may not be used as indentation\n"),
        ROW("a: [ b\n", "f:2:1 YAML: flow sequence without a closing bracket\n"),
        ROW("a: 'b\n", "f:1:5 YAML: single-quoted scalar without closing quote\n"),
        ROW("a: b: c\n", "f:1:5 YAML: invalid nested block mapping on the same line\n"),
        ROW("a: 1\n---\nb: 1\n", "f:2:1 a second document (\"---\") in one file\n"),
        ROW("a: 1\nb: 2\na: 3\n",
            "f:3:1 \"a\" is given twice; first in 1:1 | leave one of the two out\n"),
        ROW("? [ a ]\n: b\n", "f:1:3 a key must be a word\n"),
        ROW("a: \"\\0\"\n", "f:1:4 a value cannot hold a NUL\n"),
        ROW("a: !!int 3\n",
            "f:1:10 tags (\"!\") mean nothing here; a value that begins with one wants quotes\n"),
        ROW("a: 'b''''c'\n",
            "f:1:4 two quotes in a row are misread; put this value in double quotes\n"),
        ROW("a: *b\n",
            "f:1:4 a \"*\" begins an alias in YAML, and there is no anchor of that name | "
            "YAML reads this as something else than text; put it in quotes: \"*b\"\n"),
        ROW("a: &b { c: *b }\n",
            "f:1:12 a \"*\" begins an alias in YAML, and there is no anchor of that name | "
            "YAML reads this as something else than text; put it in quotes: \"*b\"\n"),
        ROW("a: { <<: 1 }\n", "f:1:6 a merge key (<<) takes a map, or a list of maps\n"),
        ROW("a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n", "f:1:19 nested more than 16 deep\n"),
    };
#undef ROW

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct told told;
        arena_init(&arena);
        parse(&arena, rows[i].text, rows[i].len, &told);
        expect_text(told.text, rows[i].wanted);
        arena_done(&arena);
    }
}

TEST(an_abyss_of_brackets_never_reaches_libfyaml)
{
    static char text[100000];
    struct arena arena;
    struct told told;

    memset(text, '[', sizeof text);
    arena_init(&arena);
    parse(&arena, text, sizeof text, &told);
    expect_text(told.text, "f:1:65 nested more than 16 deep\n");
    memset(text + 1, '#', 1);
    memset(text, ' ', 1);
    parse(&arena, text, sizeof text, &told); /* in a comment it is no abyss */
    expect_text(told.text, "");
    arena_done(&arena);
}

TEST(a_thousand_laughs_are_shared_and_more_are_refused)
{
    struct arena arena;
    struct told told;
    char text[16384] = "a0: &a0 { x: 1 }\n";

    for (int i = 1; i < 99; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "a%d: &a%d [ *a%d, *a%d ]\n", i,
                 i, i - 1, i - 1);
    arena_init(&arena);
    struct tree *tree = parse(&arena, text, strlen(text), &told);
    EXPECT(tree); /* 2 to the 98th, in 300 nodes */
    struct tree *last = tree_find(tree, "a98")->value;
    EXPECT(last->first->value == last->last->value);
    strcat(text, "b: &b 1\nc: &c 1\n");
    parse(&arena, text, strlen(text), &told);
    expect_text(told.text, "f:101:7 more than 100 anchors\n");
    arena_done(&arena);
}

TEST(merge_keys_fill_up_what_a_map_does_not_say)
{
    struct arena arena;
    struct told told;
    const char *text =
        "a: &a { x: 1, y: 1 }\nb: &b { y: 2, z: 2 }\nc: { <<: [ *a, *b ], x: 3 }\n\"<<\": d\n";

    arena_init(&arena);
    struct tree *tree = parse(&arena, text, strlen(text), &told);
    EXPECT(tree && tree_find(tree, "<<")); /* in quotes it is a word */
    struct tree *c = tree_find(tree, "c")->value;
    EXPECT(strcmp(tree_find(c, "x")->value->text, "3") == 0);
    EXPECT(strcmp(tree_find(c, "y")->value->text, "1") == 0);
    EXPECT(strcmp(tree_find(c, "z")->value->text, "2") == 0);
    EXPECT(!tree_find(c, "<<") && !tree_find(tree_find(tree, "a")->value, "z"));
    arena_done(&arena);
}

TEST(text_in_all_its_forms)
{
    static const struct {
        const char *text, *value;
    } rows[] = {
        {"a: b c\n", "b c"},
        {"a: b\n  c\n\n  d\n", "b c\nd"},
        {"a: 'b''c'\n", "b'c"},
        {"a: 'it''s: #1 ''of'' two, ''and'' this, ''and'' that'\n",
         "it's: #1 'of' two, 'and' this, 'and' that"},
        {"a: '\xc3\xa9\n\n a \xc3\xa9'\n", "\xc3\xa9\na \xc3\xa9"}, /* fy_token_get_text cuts it */
        {"a: \"\\x41\\n\\u00e9\\\"\"\n", "A\n\xc3\xa9\""},
        {"a: |\n  b\n   c\n", "b\n c\n"},
        {"a: >-\n  b\n  c\n", "b c"},
        {"a:\n", ""},
        {"a: ''\n", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct told told;
        arena_init(&arena);
        struct tree *tree = parse(&arena, rows[i].text, strlen(rows[i].text), &told);
        expect_text(told.text, "");
        expect_text(tree_find(tree, "a")->value->text, rows[i].value);
        arena_done(&arena);
    }
}

static size_t write_keys(char *text, size_t size, unsigned count)
{
    size_t len = 0;

    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, size - len, "k%u: 1\n", i);
    return len;
}

TEST(a_map_has_at_most_4096_keys)
{
    static char text[65536];
    struct arena arena;
    struct told told;

    arena_init(&arena);
    EXPECT(parse(&arena, text, write_keys(text, sizeof text, 4096), &told));
    parse(&arena, text, write_keys(text, sizeof text, 4097), &told);
    expect_text(told.text, "f:4097:1 more than 4096 keys in one map\n");
    arena_done(&arena);
}

TEST(a_file_has_at_most_200000_values)
{
    struct arena arena;
    struct told told;
    char *text = malloc(2 * 150000 + 2);

    EXPECT(text);
    for (size_t i = 0; i < 150000; i++)
        memcpy(text + 2 * i, i ? "1," : "[ ", 2);
    memcpy(text + 2 * 150000, "]\n", 2);
    arena_init(&arena);
    parse(&arena, text, 2 * 150000 + 2, &told);
    EXPECT(strstr(told.text, "more than 200000 values"));
    arena_done(&arena);
    free(text);
}

TEST(nothing_is_an_empty_map)
{
    static const char *const rows[] = {"",   "\n",           "# a remark\n", "---\n",
                                       "{}", "\xef\xbb\xbf", "--- {}\n...\n"};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct told told;
        arena_init(&arena);
        struct tree *tree = parse(&arena, rows[i], strlen(rows[i]), &told);
        expect_text(told.text, "");
        EXPECT(tree->kind == TREE_MAP && !tree->first);
        arena_done(&arena);
    }
}
