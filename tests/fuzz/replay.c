/* replay.c — runs a harness over its corpus without libFuzzer: a TAP program of one test, for any compiler and checker.
 *
 * build/tests/NAME_fuzz [FILE|DIRECTORY…]; by itself it takes tests/fuzz/corpus/NAME. Each input lies in memory of exactly
 * its size, so that a read past its end is seen. The name of each is said on standard error before it is run.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { PATH_SIZE = 4096 };

static int ran;

static void run_file(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    CHECK(file && fstat(fileno(file), &status) == 0);
    size_t size = (size_t)status.st_size;
    uint8_t *data = malloc(size ? size : 1);
    CHECK(data && fread(data, 1, size, file) == size);
    fclose(file);
    fprintf(stderr, "# %s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    ran++;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_directory(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0) {
        fprintf(stderr, "%s: %s; run it from the top of the tree\n", path, strerror(errno));
        exit(2);
    }
    for (int i = 0; i < count; i++) {
        char name[PATH_SIZE];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        run_file(name);
        free(entries[i]);
    }
    free(entries);
}

static void run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
        run_file(path);
    else
        run_directory(path);
}

int main(int argc, char **argv)
{
    char corpus[PATH_SIZE];
    const char *name = program_invocation_short_name, *end = strstr(name, "_fuzz");
    snprintf(corpus, sizeof corpus, "tests/fuzz/corpus/%.*s", end ? (int)(end - name) : (int)strlen(name), name);
    printf("1..1\n");
    fflush(stdout);
    if (argc < 2)
        run_path(corpus);
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    printf("%sok 1 - %s: %d inputs, each with its answer\n", ran > 0 ? "" : "not ", name, ran);
    return ran == 0;
}
