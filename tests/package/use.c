/*
 * use.c - the smallest program of somebody who uses libaffinity; built in every way that is promised.
 */
#include <affinity.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    aff_error error = { 0 };
    int code = aff_fail_with(&error, AFF_ENOTFOUND, "no %s", "pear");

    printf("%s: %s\n", aff_error_name(code), error.text);
    return strcmp(error.text, "no pear") != 0;
}
