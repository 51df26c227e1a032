/*
 * parts.h - a group of tests that waits more than it works, run as several processes at one time, each with every n-th of its
 * tests. For a main() whose argument "2/4" means the second of four parts; include <cmocka.h> before it.
 */
#ifndef AFF_TESTS_LIB_PARTS_H
#define AFF_TESTS_LIB_PARTS_H

#include <stdbool.h>
#include <stdio.h>

/* Leaves those tests that belong to `part`; NULL: all. False: `part` is no part. What is without a name is no test to cmocka. */
static inline bool parts_leave(struct CMUnitTest *tests, size_t count, const char *part)
{
    unsigned number = 1, of = 1;
    char rest;

    if (part && (sscanf(part, "%u/%u%c", &number, &of, &rest) != 2 || number < 1 || number > of))
        return false;
    for (size_t i = 0; i < count; i++)
        if (i % of != number - 1)
            tests[i] = (struct CMUnitTest){ 0 };
    return true;
}

#endif
