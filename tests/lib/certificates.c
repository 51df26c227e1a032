/* certificates.c - see certificates.h. Elliptic curve keys, since they are made in no time. */
#include "lib/certificates.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FILES_MAX = 32, DAY_S = 86400 };

struct certificates {
    char folder[64];
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    char files[FILES_MAX][128];
    unsigned files_count, serial;
};

static void must(int result, const char *what)
{
    if (result >= 0)
        return;
    (void)fprintf(stderr, "certificates: %s: %s\n", what, gnutls_strerror(result));
    abort();
}

static void write_file(struct certificates *c, const char *name, const char *suffix, const gnutls_datum_t *pem,
                       char path[128])
{
    if (c->files_count == FILES_MAX)
        must(GNUTLS_E_MEMORY_ERROR, "too many files");
    (void)snprintf(path, 128, "%s/%.32s.%s", c->folder, name, suffix);
    memcpy(c->files[c->files_count++], path, 128);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(pem->data, 1, pem->size, file) != pem->size || fclose(file) != 0)
        must(GNUTLS_E_FILE_ERROR, path);
}

static gnutls_x509_privkey_t new_key(void)
{
    gnutls_x509_privkey_t key;
    must(gnutls_x509_privkey_init(&key), "key");
    must(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
         "key");
    return key;
}

static gnutls_x509_crt_t new_certificate(struct certificates *c, const char *name, gnutls_x509_privkey_t key,
                                         long seconds)
{
    gnutls_x509_crt_t crt;
    unsigned char serial[2] = { 1, (unsigned char)++c->serial };
    time_t now = time(NULL);
    must(gnutls_x509_crt_init(&crt), "certificate");
    must(gnutls_x509_crt_set_version(crt, 3), "version");
    must(gnutls_x509_crt_set_serial(crt, serial, sizeof serial), "serial");
    must(gnutls_x509_crt_set_activation_time(crt, now - 30 * DAY_S), "activation time");
    must(gnutls_x509_crt_set_expiration_time(crt, now + seconds), "expiration time");
    must(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name)), "name");
    must(gnutls_x509_crt_set_key(crt, key), "key of certificate");
    return crt;
}

struct certificates *certificates_new(void)
{
    struct certificates *c = calloc(1, sizeof *c);
    if (!c)
        must(GNUTLS_E_MEMORY_ERROR, "certificates");
    (void)snprintf(c->folder, sizeof c->folder, "/tmp/affinity-certificates-XXXXXX");
    if (!mkdtemp(c->folder))
        must(GNUTLS_E_FILE_ERROR, c->folder);
    c->key = new_key();
    c->certificate = new_certificate(c, c->folder, c->key, DAY_S);
    must(gnutls_x509_crt_set_basic_constraints(c->certificate, 1, -1), "CA");
    must(gnutls_x509_crt_set_key_usage(c->certificate, GNUTLS_KEY_KEY_CERT_SIGN), "key usage");
    must(gnutls_x509_crt_sign2(c->certificate, c->certificate, c->key, GNUTLS_DIG_SHA256, 0), "signature");
    gnutls_datum_t pem;
    char path[128];
    must(gnutls_x509_crt_export2(c->certificate, GNUTLS_X509_FMT_PEM, &pem), "export");
    write_file(c, "ca", "ca", &pem, path);
    gnutls_free(pem.data);
    return c;
}

void certificates_issue(struct certificates *c, const char *name, long seconds, struct certificate_files *ret_files)
{
    gnutls_x509_privkey_t key = new_key();
    gnutls_x509_crt_t crt = new_certificate(c, name, key, seconds);
    gnutls_datum_t pem;
    must(gnutls_x509_crt_sign2(crt, c->certificate, c->key, GNUTLS_DIG_SHA256, 0), "signature");
    memcpy(ret_files->ca, c->files[0], sizeof ret_files->ca);
    must(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), "export");
    write_file(c, name, "crt", &pem, ret_files->certificate);
    gnutls_free(pem.data);
    must(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), "export");
    write_file(c, name, "key", &pem, ret_files->key);
    gnutls_free(pem.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

struct certificates *certificates_free(struct certificates *c)
{
    if (!c)
        return NULL;
    for (unsigned i = 0; i < c->files_count; i++)
        (void)unlink(c->files[i]);
    (void)rmdir(c->folder);
    gnutls_x509_crt_deinit(c->certificate);
    gnutls_x509_privkey_deinit(c->key);
    free(c);
    return NULL;
}
