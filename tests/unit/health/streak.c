#include "health/streak.c"

#include "base/check.h"
#include "test.h"

/* G, B, D and - are outcomes; what the verdict is after each: ? + - d */
static bool goes(const char *outcomes, const char *verdicts)
{
    struct streak s = {0};

    for (size_t i = 0; outcomes[i]; i++) {
        enum outcome_kind kind = outcomes[i] == 'G'   ? OUTCOME_GOOD
                                 : outcomes[i] == 'B' ? OUTCOME_BAD
                                 : outcomes[i] == 'D' ? OUTCOME_DRAINING
                                                      : OUTCOME_NONE;
        streak_note(&s, kind, 2, 3);
        if ("?+-d"[s.verdict] != verdicts[i])
            return false;
    }
    return true;
}

TEST(verdicts_follow_outcomes_in_a_row)
{
    EXPECT(goes("-", "?"));
    EXPECT(goes("G", "+"));
    EXPECT(goes("B", "-"));
    EXPECT(goes("GBBB", "+++-"));
    EXPECT(goes("GBBGBBGBB", "+++++++++")); /* flapping takes nobody down */
    EXPECT(goes("GBB-B", "++++-"));
    EXPECT(goes("BGBGBG", "------")); /* nor brings anybody up */
    EXPECT(goes("BGG", "--+"));
    EXPECT(goes("GDGG", "+dd+"));
    EXPECT(goes("GDBBB", "+ddd-"));
    EXPECT(goes("BD", "-d"));
}

TEST(who_is_moving_is_asked_soon)
{
    struct streak s = {.verdict = CHECK_UP};

    EXPECT(!streak_is_moving(&s));
    streak_note(&s, OUTCOME_BAD, 2, 3);
    EXPECT(streak_is_moving(&s));
    streak_note(&s, OUTCOME_GOOD, 2, 3);
    EXPECT(!streak_is_moving(&s));
    for (int i = 0; i < 3; i++)
        streak_note(&s, OUTCOME_BAD, 2, 3);
    EXPECT(s.verdict == CHECK_DOWN && !streak_is_moving(&s));
    streak_note(&s, OUTCOME_GOOD, 2, 3);
    EXPECT(streak_is_moving(&s));
}
