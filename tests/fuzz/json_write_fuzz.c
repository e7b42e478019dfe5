/* json_write_fuzz.c — every value that goes in comes back, as far as JSON can carry it; base64 by OpenSSL's. The first
 * eight bytes are a number too. */
#include <math.h>

#include <openssl/evp.h>

#include "fuzz.h"
#include "json_scan.h"
#include "json_write.h"
#include "utf8.h"

/* The text with U+FFFD for each bad part; utf8_fuzz.c sees to what is one. */
static void mend(struct buffer *out, const unsigned char *p, const unsigned char *end)
{
    while (p < end) {
        int n = utf8_sequence(p, end);
        if (n > 0)
            buffer_append(out, p, (size_t)n);
        else
            buffer_append_text(out, "\xEF\xBF\xBD");
        p += n > 0 ? n : utf8_bad_part(p, end);
    }
}

static bool has_line_break(const struct buffer *b)
{
    for (size_t i = 0; i < b->size; i++)
        if ((unsigned char)b->data[i] < 0x20 || (b->size - i >= 2 && !memcmp(b->data + i, "\xC2\x85", 2)) ||
            (b->size - i >= 3 && !memcmp(b->data + i, "\xE2\x80", 2) && ((unsigned char)b->data[i + 2] & 0xFE) == 0xA8))
            return true;
    return false;
}

static void check_text(const uint8_t *data, size_t size)
{
    struct buffer written = {0}, mended = {0}, back = {0};
    struct json_value v;
    json_write_text(&written, (const char *)data, size);
    CHECK(buffer_ok(&written) && json_check(written.data, written.size, NULL) && !has_line_break(&written));
    CHECK(fuzz_sqlite_json_valid(written.data, written.size));
    CHECK(json_value_of(written.data, written.size, &v) && v.type == JSON_STRING);
    mend(&mended, data, data + size);
    json_unescape(&back, &v);
    CHECK(back.size == mended.size && (!back.size || !memcmp(back.data, mended.data, back.size)));
    buffer_free(&written);
    buffer_free(&mended);
    buffer_free(&back);
}

static void check_blob(const uint8_t *data, size_t size)
{
    struct buffer written = {0}, digits = {0}, back = {0};
    struct json_value v;
    unsigned char *theirs = malloc(size / 3 * 4 + 5);
    CHECK(theirs != NULL);
    json_write_blob(&written, data, size);
    CHECK(json_check(written.data, written.size, NULL) && json_value_of(written.data, written.size, &v));
    CHECK(json_blob_decode(&v, &back) == JSON_BLOB_OK && back.size == size &&
          (!size || !memcmp(back.data, data, size)));
    int length = EVP_EncodeBlock(theirs, data, (int)size);
    json_write_base64(&digits, data, size);
    CHECK(digits.size == (size_t)length && (!length || !memcmp(digits.data, theirs, digits.size)));
    buffer_free(&written);
    buffer_free(&digits);
    buffer_free(&back);
    free(theirs);
}

/* The input as digits: what is accepted is the one text of its bytes. */
static void check_digits(const uint8_t *data, size_t size)
{
    struct buffer bytes = {0}, again = {0};
    if (json_base64_decode(&bytes, (const char *)data, size)) {
        json_write_base64(&again, bytes.data, bytes.size);
        CHECK(again.size == size && (!size || !memcmp(again.data, data, size)));
    } else {
        CHECK(bytes.size == 0);
    }
    buffer_free(&bytes);
    buffer_free(&again);
}

static void check_numbers(const uint8_t *data, size_t size)
{
    struct buffer real = {0}, integer = {0};
    uint64_t bits = fuzz_take(&data, &size, 8);
    double value, back = 0;
    struct json_value v;
    int64_t whole;
    memcpy(&value, &bits, sizeof value);
    json_write_real(&real, value);
    CHECK(json_check(real.data, real.size, NULL) && json_value_of(real.data, real.size, &v));
    if (isnan(value)) {
        CHECK(v.type == JSON_NULL);
    } else {
        CHECK(v.type == JSON_REAL && json_double(&v, &back) && !memcmp(&back, &value, sizeof value));
        CHECK(strtod(buffer_text(&real), NULL) == value && real.size <= 25);
    }
    json_write_int(&integer, (int64_t)bits);
    CHECK(strtoll(buffer_text(&integer), NULL, 10) == (int64_t)bits);
    CHECK(json_value_of(integer.data, integer.size, &v) && json_int64(&v, &whole) && whole == (int64_t)bits);
    buffer_free(&real);
    buffer_free(&integer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text(data, size);
    check_blob(data, size);
    check_digits(data, size);
    check_numbers(data, size);
    return 0;
}
