/* segment_fuzz.c — names of segments, by a regular expression and strtoull; paths of streams, by basename and dirname. The
 * input is a path, a line break, and a file's name. */
#include <errno.h>
#include <libgen.h>
#include <regex.h>

#include "fuzz.h"
#include "segment.h"

/* Whether name is STEM.FIRST-LAST.jsonl, to the letter. */
static bool is_segment(const char *name, const char *stem, unsigned long long *first, unsigned long long *last)
{
    static regex_t regex;
    static bool ready;
    size_t size = strlen(stem);
    if (!ready)
        ready = !regcomp(&regex, "^\\.[0-9]{20}-[0-9]{20}\\.jsonl$", REG_EXTENDED | REG_NOSUB);
    CHECK(ready);
    if (strncmp(name, stem, size) != 0 || strchr(name + size, '\n') || regexec(&regex, name + size, 0, NULL, 0) != 0)
        return false;
    errno = 0;
    *first = strtoull(name + size + 1, NULL, 10);
    *last = strtoull(name + size + 22, NULL, 10);
    return errno == 0 && *first >= 1 && *first <= *last && *last <= INT64_MAX;
}

static void check_name(const char *name, const char *stem)
{
    struct segment segment = {.first = -7, .last = -7};
    char again[SEGMENT_NAME_SIZE];
    unsigned long long first, last;
    bool expected = is_segment(name, stem, &first, &last);
    CHECK(segment_parse(name, stem, &segment) == expected);
    if (!expected) {
        CHECK(segment.first == -7 && segment.last == -7);
        return;
    }
    CHECK((unsigned long long)segment.first == first && (unsigned long long)segment.last == last);
    CHECK(segment_name(again, stem, segment.first, segment.last) == (strlen(name) < SEGMENT_NAME_SIZE));
    CHECK(strlen(name) >= SEGMENT_NAME_SIZE || !strcmp(again, name));
}

static void check_path(const char *given, const char *name)
{
    struct stream_path path;
    char *copy = strdup(given), longest[SEGMENT_NAME_SIZE];
    size_t size = strlen(given);
    CHECK(copy != NULL);
    if (stream_path_init(&path, given)) {
        CHECK(size > 0 && given[size - 1] != '/' && !strchr(path.file, '/'));
        CHECK(!strcmp(path.file, basename(copy)) && strcmp(path.file, ".") != 0 && strcmp(path.file, "..") != 0);
        CHECK(!strncmp(path.lock, given, size) && !strcmp(path.lock + size, ".lock"));
        CHECK(path.absolute[0] == '/' && strlen(path.absolute) >= size &&
              !strcmp(path.absolute + strlen(path.absolute) - size, given));
        CHECK(strchr(given, '/') ? !strncmp(path.directory, given, strlen(path.directory))
                                 : !strcmp(path.directory, "."));
        CHECK(!strcmp(path.file, path.stem) ||
              (!strncmp(path.file, path.stem, strlen(path.stem)) && !strcmp(path.file + strlen(path.stem), ".jsonl")));
        CHECK(segment_name(longest, path.stem, INT64_MAX, INT64_MAX)); /* any segment of it can have its name */
        check_name(longest, path.stem);
        check_name(name, path.stem);
        check_name(path.file, path.stem); /* the active file is no segment of itself */
    } else {
        CHECK(errno == EISDIR || errno == ENAMETOOLONG);
    }
    stream_path_fini(&path);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *given = fuzz_text(data, size), *name = strchr(given, '\n');
    if (name)
        *name++ = '\0';
    check_path(given, name ? name : "");
    check_name(name ? name : "", given);
    free(given);
    return 0;
}
