/* realloc fails when it is told to. */
#include <stdlib.h>

static void *some_memory(void *at, size_t size);
#define realloc some_memory
#include "conf/text.c"
#undef realloc

#include "test.h"

static int left = -1; /* calls that are granted; -1: all */

static void *some_memory(void *at, size_t size)
{
    if (left == 0)
        return NULL;
    left -= left > 0;
    return realloc(at, size);
}

TEST(pieces_of_any_length_follow_each_other)
{
    struct text text = {0};

    for (int i = 0; i < 100; i++)
        text_say(&text, "%d %s;", i,
                 i % 3 ? "" : "a longer piece of text, to grow by more at once");
    char *whole = text_take(&text);
    EXPECT(whole && strncmp(whole, "0 a longer", 10) == 0 && strstr(whole, ";98 ;99 a longer"));
    EXPECT(whole[strlen(whole) - 1] == ';');
    EXPECT(!text.at && !text.len);
    free(whole);
}

TEST(nothing_said_is_an_empty_text)
{
    struct text text = {0};
    char *whole = text_take(&text);

    EXPECT(whole && !*whole);
    free(whole);
}

TEST(a_text_that_lacks_something_is_none)
{
    for (int granted = 0; granted < 3; granted++) {
        struct text text = {0};
        left = granted;
        text_say(&text, "one");
        text_say(&text, "two");
        text_say(&text, "three");
        left = -1;
        text_say(&text, "four");
        EXPECT(!text_take(&text));
        EXPECT(!text.has_failed);
    }
}
