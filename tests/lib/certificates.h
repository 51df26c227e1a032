/*
 * certificates.h - a CA and certificates that it signed, made for a test, as PEM files in a temporary folder. One thread.
 */
#ifndef AFF_TESTS_LIB_CERTIFICATES_H
#define AFF_TESTS_LIB_CERTIFICATES_H

struct certificates;

struct certificate_files {
    char certificate[128], key[128], ca[128];
};

/* A CA of its own in a folder of its own; aborts when anything fails. */
struct certificates *certificates_new(void);
struct certificates *certificates_free(struct certificates *c); /* with the folder; returns NULL */

/* A certificate that the CA has signed and that ends so many seconds from now, which may be in the past. */
void certificates_issue(struct certificates *c, const char *name, long seconds, struct certificate_files *ret_files);

#endif
