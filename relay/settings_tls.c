/* settings_tls.c — see settings_tls.h. curl reads the files again, at each connection; here is only the answer in time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "settings_secret.h"
#include "settings_tls.h"

/* A relay has nobody to ask: without this libcrypto would, on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

/* The first certificate of the file; NULL: why. */
static X509 *read_certificate(const char *path, char *why, size_t why_size)
{
    FILE *file = fopen(path, "re");
    X509 *certificate = file ? PEM_read_X509(file, NULL, no_passphrase, NULL) : NULL;

    if (!file)
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
    else if (!certificate)
        snprintf(why, why_size, "%s holds no certificate in PEM", path);
    if (file)
        fclose(file);
    return certificate;
}

static EVP_PKEY *read_key(const char *path, char *why, size_t why_size)
{
    char *text = secret_file_read(path, why, why_size);

    if (!text)
        return NULL;
    BIO *source = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = source ? PEM_read_bio_PrivateKey(source, NULL, no_passphrase, NULL) : NULL;
    if (!key)
        snprintf(why, why_size, "%s holds no private key in PEM that needs no passphrase", path);
    BIO_free(source);
    secret_free(text);
    return key;
}

bool tls_certificate_check(const char *path, char *why, size_t why_size)
{
    X509 *certificate = read_certificate(path, why, why_size);

    X509_free(certificate);
    return certificate != NULL;
}

bool tls_key_check(const char *path, char *why, size_t why_size)
{
    EVP_PKEY *key = read_key(path, why, why_size);

    EVP_PKEY_free(key);
    return key != NULL;
}

bool tls_pair_check(const char *certificate_path, const char *key_path, char *why, size_t why_size)
{
    X509 *certificate = read_certificate(certificate_path, why, why_size);
    EVP_PKEY *key = certificate ? read_key(key_path, why, why_size) : NULL;
    bool fits = key && X509_check_private_key(certificate, key) == 1;

    if (key && !fits)
        snprintf(why, why_size, "the key in %s is not that of the certificate in %s", key_path, certificate_path);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return fits;
}
