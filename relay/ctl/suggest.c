/* suggest.c — see suggest.h. */
#include <stdbool.h>
#include <string.h>

#include "suggest.h"

enum { LENGTH_MAX = 32, SLIPS_MAX = 2, FAR = SLIPS_MAX + 1 };

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours (optimal string alignment). */
static int slips(const char *a, const char *b)
{
    int d[LENGTH_MAX + 1][LENGTH_MAX + 1];
    size_t m = strlen(a), n = strlen(b);
    if (m > LENGTH_MAX || n > LENGTH_MAX)
        return FAR;
    for (size_t i = 0; i <= m; i++)
        d[i][0] = (int)i;
    for (size_t j = 0; j <= n; j++)
        d[0][j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        for (size_t j = 1; j <= n; j++) {
            int changed = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = smaller(changed, smaller(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = smaller(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[m][n];
}

static bool begins(const char *name, const char *word)
{
    size_t n = strlen(word);
    return n >= 2 && !strncmp(name, word, n);
}

const char *suggest_name(const char *word, const char *const names[], size_t count)
{
    const char *nearest = NULL;
    int least = FAR;
    for (size_t i = 0; i < count; i++) {
        /* A word of three letters is two slips away from nearly everything. */
        int allowed = strlen(word) <= 3 ? 1 : SLIPS_MAX;
        int distance = begins(names[i], word) ? 1 : slips(word, names[i]);
        if (distance <= allowed && distance < least) {
            nearest = names[i];
            least = distance;
        }
    }
    return nearest;
}
