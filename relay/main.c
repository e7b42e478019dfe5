/* main.c — outbox-relay: settings in, exit code out. relay.c does the rest. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exit_codes.h"
#include "log.h"
#include "relay.h"
#include "settings.h"

/* Where one of these is closed, the next file opened would be in its place, and events or log lines in that file. Reading
 * nothing and failing every write is what is expected of a closed one. */
static void keep_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
            _exit(EXIT_TEMPORARY);
}

int main(int argc, char **argv)
{
    struct relay_settings settings = {0};
    char message[1024] = "";
    int code = EXIT_DONE;

    keep_standard_descriptors();
    umask(umask(077) | 027); /* at least: what the relay writes holds the application's data */
    switch (settings_load(&settings, argc, argv, message, sizeof message)) {
    case SETTINGS_OK:
        log_setup(settings.log_level, settings.log_format);
        if (settings.check_config)
            settings_print(&settings);
        else
            code = relay_run(&settings, argc, argv);
        break;
    case SETTINGS_BAD:
        fprintf(stderr, "outbox-relay: %s\n", message);
        code = EXIT_USAGE;
        break;
    case SETTINGS_EXIT: break;
    }
    settings_free(&settings);
    return code;
}
