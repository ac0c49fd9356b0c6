#include "conf/words.c"

#include "source.h"

TEST(near_words)
{
    static const char *const words[] = {"host", "path", "prefix", NULL};
    char far[128] = "";

    EXPECT(strcmp(nearest_word("hsot", words), "host") == 0);
    EXPECT(strcmp(nearest_word("prefx", words), "prefix") == 0);
    EXPECT(!nearest_word("something", words) && !nearest_word("", words) &&
           !nearest_word("x", NULL));
    memset(far, 'x', 100);
    EXPECT(!nearest_word(far, words));
}

TEST(a_list_of_words_is_cut_where_it_ends)
{
    static const char *const words[] = {"alpha", "beta", "gamma", NULL};
    char whole[32] = "", cut[20] = "of: ";

    list_words(whole, sizeof whole, words);
    expect_text(whole, "alpha, beta, gamma");
    list_words(cut, sizeof cut, words);
    expect_text(cut, "of: alpha, ...");
}
