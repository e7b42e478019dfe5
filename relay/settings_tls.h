/* settings_tls.h — certificates and keys, looked at when the relay starts and not when the first event is due. */
#ifndef RELAY_SETTINGS_TLS_H
#define RELAY_SETTINGS_TLS_H

#include <stdbool.h>
#include <stddef.h>

/* A file with at least one certificate in PEM. False: why. */
bool tls_certificate_check(const char *path, char *why, size_t why_size);

/* A key in PEM without a passphrase, private as secrets are. False: why. */
bool tls_key_check(const char *path, char *why, size_t why_size);

/* Whether the key is that of the file's first certificate. False: why. */
bool tls_pair_check(const char *certificate_path, const char *key_path, char *why, size_t why_size);

#endif
