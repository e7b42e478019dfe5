/* json_blob.c — a BLOB's way back out of JSON: {"$base64":"…"}. The way in is json_write.c's.
 *
 * One BLOB has one text: padding is required, white space and stray bits in the last digit are not base64.
 */
#include "json_scan.h"

static const char MEMBER[] = "$base64";

/* 0..63; 64 for a byte that is no digit. */
static unsigned digit_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26u;
    if (c >= '0' && c <= '9')
        return c - '0' + 52u;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

bool json_base64_decode(struct buffer *bytes, const char *digits, size_t size)
{
    if (size % 4 != 0)
        return false;
    size_t padding = size == 0 || digits[size - 1] != '=' ? 0 : digits[size - 2] != '=' ? 1 : 2;
    size_t count = size - padding, at = 0;
    uint32_t bits = 0;
    char *to = buffer_reserve(bytes, size / 4 * 3);
    if (!to)
        return true; /* the buffer says so */

    for (size_t i = 0; i < count; i++) {
        unsigned value = digit_value((unsigned char)digits[i]);
        if (value > 63)
            return false;
        bits = bits << 6 | value;
        if (i % 4 == 0)
            continue;
        unsigned left = 6 - 2 * (unsigned)(i % 4); /* bits of the next byte */
        to[at++] = (char)(bits >> left);
    }
    if (padding > 0 && bits & (padding == 1 ? 3u : 15u))
        return false;
    buffer_grow(bytes, at);
    return true;
}

/* The string without escapes: base64 by some writers has its '/' as "\/". */
static bool is_member(const struct json_value *name, struct buffer *scratch)
{
    const char *text = name->text;
    size_t size = name->size;

    if (name->escaped) {
        buffer_clear(scratch);
        json_unescape(scratch, name);
        text = scratch->data;
        size = scratch->size;
    }
    return size == sizeof MEMBER - 1 && memcmp(text, MEMBER, size) == 0;
}

enum json_blob json_blob_decode(const struct json_value *object, struct buffer *bytes)
{
    struct json_walk walk;
    struct json_value name, value, another;
    struct buffer scratch = {0};
    enum json_blob result = JSON_BLOB_NOT;

    if (object->type != JSON_OBJECT || !json_walk_begin(&walk, object->text, object->size) ||
        !json_walk_member(&walk, &name, &value))
        return JSON_BLOB_NOT;
    if (!is_member(&name, &scratch) || json_walk_member(&walk, &name, &another))
        goto out;
    result = JSON_BLOB_BAD;
    if (value.type != JSON_STRING)
        goto out;
    if (value.escaped) {
        buffer_clear(&scratch);
        json_unescape(&scratch, &value);
        value.text = scratch.data;
        value.size = scratch.size;
    }
    if (!buffer_ok(&scratch)) {
        bytes->failed = true;
        result = JSON_BLOB_OK; /* what stopped us was memory: the buffer says so */
    } else if (json_base64_decode(bytes, value.text, value.size)) {
        result = JSON_BLOB_OK;
    }
out:
    buffer_free(&scratch);
    return result;
}
