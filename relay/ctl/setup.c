/* setup.c — init and schema: what a database needs before its first event. */
#include <stdio.h>
#include <sys/stat.h>

#include "ctl.h"
#include "fields.h"
#include "schema.h"

enum { MESSAGE_SIZE = 512 };

static int say_ready(const struct ctl *ctl, outbox *ob, bool created)
{
    struct schema_info info;
    struct buffer out = {0};
    char message[MESSAGE_SIZE];
    int code = schema_check(outbox_db(ob), &info, message, sizeof message);
    if (code != OUTBOX_OK) {
        ctl_say("%s", message);
        return ctl_exit_code(code);
    }
    if (!ctl->json) {
        ctl_say("%s %s: source %s, schema %lld", created ? "created" : "ready:", ctl->db_path, info.source,
                (long long)info.schema_version);
        return EXIT_DONE;
    }
    field_open(&out, '{');
    field_text(&out, "database", sqlite3_db_filename(outbox_db(ob), "main"));
    field_text(&out, "source", info.source);
    field_int(&out, "schema_version", info.schema_version);
    field_bool(&out, "created", created);
    field_close(&out, '}');
    buffer_append_byte(&out, '\n');
    code = ctl_print(&out);
    buffer_free(&out);
    return code;
}

int ctl_init(struct ctl *ctl, int argc, char **argv)
{
    outbox *ob = NULL;
    struct stat st;
    int code;
    if (!arguments_read(ctl, NULL, 0, 0, 0, &argc, argv, &code))
        return code;
    bool created = stat(ctl->db_path, &st) != 0;
    umask(umask(077) | 027); /* at least; SQLite gives the -wal and the -shm what the database has */
    code = outbox_open(ctl->db_path, NULL, &ob);
    code = code == OUTBOX_OK ? say_ready(ctl, ob, created) : ctl_fail(NULL, code);
    outbox_close(ob);
    return code;
}

int ctl_schema(struct ctl *ctl, int argc, char **argv)
{
    int code;
    if (!arguments_read(ctl, NULL, 0, 0, 0, &argc, argv, &code))
        return code;
    fputs(outbox_schema_sql(), stdout);
    return EXIT_DONE;
}
